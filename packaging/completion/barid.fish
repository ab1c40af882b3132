# SPDX-License-Identifier: Apache-2.0
# fish completion for barid: commands, verbs, options. Install as /usr/share/fish/vendor_completions.d/barid.fish.

set -l commands serve demo init dns check status ports domain user alias forward bcc send-as relayhost route admin master queue clients backup restore undelete import export doctor sieve quota acl search-index guard policy srs tls-report tls-policies counters trace log reload upgrade stop debug help version
set -l account add del list show set

complete -c barid -f
complete -c barid -s c -r -F -d 'Configuration'
complete -c barid -l dir -r -F -d 'State folder'
complete -c barid -l as -x -d 'With the rights of'
complete -c barid -l json -d 'Answers for programs'

complete -c barid -n "not __fish_seen_subcommand_from $commands" -a serve -d 'Run the server'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a demo -d 'Run a demonstration server'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a check -d 'Check a configuration'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a init -d 'Set up a server'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a guard -d 'logins that suddenly write to many new people'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a policy -d 'rules about recipients and messages'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a srs -d 'rewritten senders of forwarded mail'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a tls-report -d 'how TLS with other servers went'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a clients -d 'who brings mail, the worst first'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a tls-policies -d 'MTA-STS policies of other domains'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a dns -d 'DNS records of a domain'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a status -d 'Processes of the running server'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a ports -d 'Addresses it listens on'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a domain -d 'Manage mail domains'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a user -d 'Manage mailboxes'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a alias -d 'Manage aliases'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a forward -d 'Where users have their mail forwarded'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a bcc -d 'Copies of what is sent and received'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a send-as -d 'Who may send as whom'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a relayhost -d 'Servers that take the mail of some senders'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a route -d 'Where mail to an address goes'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a admin -d 'Who administrates which domains'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a master -d 'Who may log in to the accounts of others'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a queue -d 'What waits for delivery'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a quota -d 'How much mail the users have'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a acl -d 'Who else may do what with mailboxes'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'Look for what is wrong, and what mends it'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a backup -d 'Copy everything into a folder'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a restore -d 'Put back a server or mailboxes'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a undelete -d 'Bring back what was deleted'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a import -d 'Take over mail'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a export -d 'Write mail as Maildir or mbox'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a counters -d 'What the processes have counted'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a trace -d 'What happened to a message'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a log -d 'How much is logged'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a reload -d 'Read configuration and certificates again'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a upgrade -d 'Go over to this build'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a stop -d 'Stop the running server'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a debug -d 'For tests'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a help -d Usage
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a version -d 'Version of this program'

for key in domain admin hostname port-offset print-dns
	complete -c barid -n '__fish_seen_subcommand_from init' -l $key -x
end
complete -c barid -n '__fish_seen_subcommand_from init' -l password-stdin -d 'Read it from standard input'
complete -c barid -n '__fish_seen_subcommand_from init' -l dry-run -d 'Change nothing'
complete -c barid -n '__fish_seen_subcommand_from demo' -l port-offset -x -d 'Added to 25, 587, 465, 143, 993'
complete -c barid -n '__fish_seen_subcommand_from demo' -l users -x -d 'user1 to userN'
complete -c barid -n '__fish_seen_subcommand_from demo' -l password -x -d 'Of all accounts'
complete -c barid -n '__fish_seen_subcommand_from check' -l strict -d 'Warnings count as errors'
complete -c barid -n '__fish_seen_subcommand_from check' -l default -d 'A file with all settings'
complete -c barid -n '__fish_seen_subcommand_from ports' -l nftables -d 'A packet filter'
complete -c barid -n '__fish_seen_subcommand_from doctor' -l domain -x -d 'One domain'
complete -c barid -n '__fish_seen_subcommand_from doctor' -l offline -d 'Do not ask the DNS'
complete -c barid -n '__fish_seen_subcommand_from doctor' -l resolver -x -d 'Name server to ask'
complete -c barid -n '__fish_seen_subcommand_from upgrade' -l status -d 'How far it is'
complete -c barid -n '__fish_seen_subcommand_from upgrade' -l no-wait -d 'Return when it has begun'
complete -c barid -n '__fish_seen_subcommand_from quota' -a 'list recount'
complete -c barid -n '__fish_seen_subcommand_from acl' -a 'list rights set delete'
complete -c barid -n '__fish_seen_subcommand_from user' -l file -r -F -d 'Many users, from a table'
complete -c barid -n '__fish_seen_subcommand_from user' -l skip-existing -d 'Pass over those that exist'
complete -c barid -n '__fish_seen_subcommand_from user' -l purge -x -a yes -d 'With the mail, at once'
complete -c barid -n '__fish_seen_subcommand_from help' -a "$commands"

complete -c barid -n '__fish_seen_subcommand_from domain' -a "$account alias-add alias-del catch-all"
complete -c barid -n '__fish_seen_subcommand_from user' -a "$account passwd undelete app-password totp"
complete -c barid -n '__fish_seen_subcommand_from app-password' -a 'add list del'
complete -c barid -n '__fish_seen_subcommand_from totp' -a 'enable confirm disable status'
complete -c barid -n '__fish_seen_subcommand_from totp' -l app-passwords -x -a 'required optional'
complete -c barid -n '__fish_seen_subcommand_from master' -a 'add passwd del list'
complete -c barid -n '__fish_seen_subcommand_from alias' -a "$account"
complete -c barid -n '__fish_seen_subcommand_from forward send-as' -a 'add del list'
complete -c barid -n '__fish_seen_subcommand_from bcc' -a 'set del list'
complete -c barid -n '__fish_seen_subcommand_from bcc' -l sent -x -d 'Copy of what is sent'
complete -c barid -n '__fish_seen_subcommand_from bcc' -l received -x -d 'Copy of what is received'
complete -c barid -n '__fish_seen_subcommand_from relayhost' -a 'set login logout del list default'
complete -c barid -n '__fish_seen_subcommand_from relayhost' -l user -x -d 'Name to log in with there'
complete -c barid -n "not __fish_seen_subcommand_from $commands" -a sieve -d 'Look at filters of mail'
complete -c barid -n '__fish_seen_subcommand_from sieve' -a 'check test'
complete -c barid -n '__fish_seen_subcommand_from route' -l sender -x -d 'Who sends'
complete -c barid -n '__fish_seen_subcommand_from admin' -a 'grant revoke list show'
complete -c barid -n '__fish_seen_subcommand_from queue' -a 'list summary show delete flush hold release requeue'
complete -c barid -n '__fish_seen_subcommand_from log' -a 'level rotate debug error warn info all'
for key in since until limit
	complete -c barid -n '__fish_seen_subcommand_from trace' -l $key -x
end
for key in all raw follow stdin
	complete -c barid -n '__fish_seen_subcommand_from trace' -l $key
end
complete -c barid -n '__fish_seen_subcommand_from log' -l peer -x -d 'Client to look at'
complete -c barid -n '__fish_seen_subcommand_from log' -l for -x -d 'How long'
complete -c barid -n '__fish_seen_subcommand_from debug' -a 'clock wall-clock crash-point pause-point disk'

for key in description quota users aliases transport backupmx active force
	complete -c barid -n '__fish_seen_subcommand_from domain' -l $key -x
end
for key in password password-hash name quota language active transport forward keep-copy alias rate-messages-hour rate-recipients-hour rate-messages-day rate-recipients-day allow-nets smtp imap pop3 sieve web dav eas deliver
	complete -c barid -n '__fish_seen_subcommand_from user' -l $key -x
end
for key in label expires services networks addresses
	complete -c barid -n '__fish_seen_subcommand_from app-password' -l $key -x
end
for key in password services
	complete -c barid -n '__fish_seen_subcommand_from master' -l $key -x
end
for key in name policy active
	complete -c barid -n '__fish_seen_subcommand_from alias' -l $key -x
end
complete -c barid -n '__fish_seen_subcommand_from backup restore' -F
complete -c barid -n '__fish_seen_subcommand_from backup restore' -l account -x -d 'One account'
complete -c barid -n '__fish_seen_subcommand_from backup restore' -l mailbox -x -d 'One mailbox of it'
complete -c barid -n '__fish_seen_subcommand_from backup restore' -l generation -x -d 'Not the newest'
complete -c barid -n '__fish_seen_subcommand_from backup' -l keep -x -d 'Generations to keep'
complete -c barid -n '__fish_seen_subcommand_from backup' -l no-secrets -d 'Without keys'
complete -c barid -n '__fish_seen_subcommand_from backup' -l verify -d 'Read everything and compare'
complete -c barid -n '__fish_seen_subcommand_from backup' -l repair -d 'Move what is damaged aside'
complete -c barid -n '__fish_seen_subcommand_from backup' -l list -d 'Generations'
complete -c barid -n '__fish_seen_subcommand_from restore' -l into -x -d 'Another mailbox'
complete -c barid -n '__fish_seen_subcommand_from restore' -l in-place -d 'Into the same mailboxes'
complete -c barid -n '__fish_seen_subcommand_from restore' -l hold-queue -d 'Deliver nothing yet'
complete -c barid -n '__fish_seen_subcommand_from restore' -l keep-uidvalidity -d 'Nothing was served since'
complete -c barid -n '__fish_seen_subcommand_from import export' -a 'maildir mbox' -F
complete -c barid -n '__fish_seen_subcommand_from import export' -l account -x -d 'Whose'
complete -c barid -n '__fish_seen_subcommand_from import export' -l mailbox -x -d 'One mailbox'
complete -c barid -n '__fish_seen_subcommand_from import' -l all -d 'All users'
complete -c barid -n '__fish_seen_subcommand_from import' -l dry-run -d 'Count only'
complete -c barid -n '__fish_seen_subcommand_from search-index' -a 'status rebuild'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l account -x -d 'Whose'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l mailbox -x -d 'Of which mailbox'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l all -d 'Everything'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l at -x -d 'As it was then'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l list -d 'Only list'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l hours -x -d 'Deleted within'
complete -c barid -n '__fish_seen_subcommand_from undelete' -l into -x -d 'Target'
for o in from to domain nexthop state older newer larger smaller text account id max after
	complete -c barid -n '__fish_seen_subcommand_from queue' -l $o -r
end
complete -c barid -n '__fish_seen_subcommand_from queue' -l dry-run -d 'Say how many, change nothing'
