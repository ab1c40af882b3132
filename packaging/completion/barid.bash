# SPDX-License-Identifier: Apache-2.0
# bash completion for barid: commands, verbs, options. Install as /usr/share/bash-completion/completions/barid.

_barid() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=() i
	COMPREPLY=()
	case $prev in
	-c | --dir | --file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --dir | --as | --file) ((i++)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	local offer='' options='-c --dir --as --json'
	case ${words[0]-}/${#words[@]} in
	/0) offer='serve demo init dns check status ports domain user alias forward bcc send-as relayhost route admin master queue clients backup restore undelete import export doctor sieve quota acl search-index guard policy srs tls-report tls-policies counters trace log reload upgrade stop debug help version' ;;
	help/1) offer='serve demo init dns check status ports domain user alias forward bcc send-as relayhost route admin master queue clients backup restore undelete import export doctor sieve quota acl search-index guard policy srs tls-report tls-policies counters trace log reload upgrade stop debug help version' ;;
	admin/1) offer='grant revoke list show' ;;
	master/1) offer='add passwd del list' ;;
	quota/1) offer='list recount' ;;
	acl/1) offer='list rights set delete' ;;
	search-index/1) offer='status rebuild' ;;
	domain/1) offer='add del list show set alias-add alias-del catch-all' ;;
	user/1) offer='add del list show set passwd undelete app-password totp' ;;
	sieve/1) offer='check test' ;;
	guard/1) offer='list rates release reject allow' ;;
	policy/1) offer='test greylist throttle wblist rdns what-if' ;;
	policy/2)
		case ${words[1]} in
		greylist) offer='list enable disable delete seen whitelist domain' ;;
		throttle) offer='list usage add delete' ;;
		wblist | rdns) offer='list add delete' ;;
		esac
		;;
	policy/3)
		case ${words[1]}/${words[2]} in
		greylist/whitelist | greylist/domain) offer='list add delete' ;;
		wblist/add | rdns/add) offer='white black' ;;
		esac
		;;
	srs/1) offer='show rotate import forward reverse' ;;
	alias/1) offer='add del list show set' ;;
	forward/1 | send-as/1) offer='add del list' ;;
	bcc/1) offer='set del list' ;;
	relayhost/1) offer='set login logout del list' ;;
	relayhost/2) [[ ${words[1]} != log* ]] || offer=default ;;
	queue/1) offer='list summary show delete flush hold release requeue' ;;
	clients/1) offer='refused logins-failed connections messages recipients tls' ;;
	log/1) offer='level rotate debug' ;;
	log/2) [[ ${words[1]} != level ]] || offer='all master edge mta queue user scan dir admin error warn info debug' ;;
	log/3) [[ ${words[1]} != level ]] || offer='error warn info debug' ;;
	debug/1) offer='clock wall-clock crash-point pause-point disk' ;;
	guard/*) options+=' --disable' ;;
	policy/*) options+=' --client --sender --recipient --helo --login --size --name --at --recipients --from --account --comment --kind --period --messages --quota --direction --days --set --examples' ;;
	srs/*) options+=' --keep' ;;
	init/*) options+=' --domain --admin --hostname --password-stdin --dry-run --port-offset --print-dns' ;;
	check/*) options+=' --strict --default' ;;
	ports/*) options+=' --nftables' ;;
	doctor/*) options+=' --domain --offline --resolver' ;;
	upgrade/*) options+=' --status --no-wait' ;;
	master/*) options+=' --password --services' ;;
	demo/*) options='--dir --port-offset --users --password' ;;
	domain/*)
		case ${words[1]} in
		del) options+=' --force' ;;
		add | set) options+=' --description --quota --users --aliases --transport --backupmx --active --rate-messages-hour --rate-recipients-hour --rate-messages-day --rate-recipients-day' ;;
		esac
		;;
	user/*)
		case ${words[1]} in
		add | set)
			options+=' --file --skip-existing --password --password-hash --name --quota --language --active --transport --forward --keep-copy'
			options+=' --rate-messages-hour --rate-recipients-hour --rate-messages-day --rate-recipients-day --alias --allow-nets --smtp --imap --pop3 --sieve --web --dav --eas --deliver'
			;;
		del) options+=' --purge' ;;
		app-password)
			options+=' --label --expires --services --networks --addresses'
			[[ ${#words[@]} != 2 ]] || offer='add list del'
			;;
		totp)
			options+=' --app-passwords'
			[[ ${#words[@]} != 2 ]] || offer='enable confirm disable status'
			;;
		esac
		;;
	trace/*) options+=' --since --until --limit --all --raw --follow --stdin' ;;
	log/*) options+=' --peer --for' ;;
	backup/*) options+=' --account --mailbox --keep --no-secrets --verify --repair --list --generation' ;;
	restore/*) options+=' --account --mailbox --into --in-place --generation --hold-queue --keep-uidvalidity' ;;
	import/1 | export/1) offer='maildir mbox' ;;
	undelete/*) options+=' --all --at --hours --into --list --account --mailbox' ;;
	import/*) options+=' --account --all --mailbox --dry-run' ;;
	export/*) options+=' --account --mailbox' ;;
	alias/*)
		case ${words[1]} in
		add | set) options+=' --name --policy --active' ;;
		esac
		;;
	route/*) options+=' --sender' ;;
	sieve/*) options+=' --program --extensions --from --to --mailbox --now --scripts --global --spam --virus --seen --quiet' ;;
	queue/*) options+=' --from --to --domain --nexthop --state --older --newer --larger --smaller --text --account --id --dry-run --max --after' ;;
	bcc/*) options+=' --sent --received' ;;
	relayhost/*) options+=' --user' ;;
	queue/2)
		case ${words[1]} in
		delete | flush | hold | release | requeue) offer=all ;;
		esac
		;;
	esac
	[[ $cur != -* ]] || offer=$options
	mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur")
}
complete -F _barid barid
