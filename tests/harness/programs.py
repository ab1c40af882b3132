# SPDX-License-Identifier: Apache-2.0
"""How programs of others come to the server of a test."""
import os
import re


def server_certificate(t, folder):
    """The server's own certificate in a file, for programs that want to know it."""
    server = t.server()
    out = t.run([t.program("openssl"), "s_client", "-connect", f"127.0.0.1:{server.ports['imaps']}"], stdin=b"").stdout
    path = os.path.join(folder, "server.pem")
    with open(path, "wb") as f:
        f.write(re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", out, re.S).group(0))
    return path


def mbsync_connection(t, folder):
    """mbsync always checks the host name: it speaks TLS itself if the certificate is for localhost, else through openssl."""
    port, certificate = t.server().ports["imaps"], server_certificate(t, folder)
    checked = t.run([t.program("openssl"), "x509", "-noout", "-checkhost", "localhost", "-in", certificate]).stdout
    if b"does match" in checked:
        return f"Host localhost\nPort {port}\nSSLType IMAPS\nCertificateFile {certificate}"
    return f'Tunnel "openssl s_client -quiet -connect 127.0.0.1:{port} 2>/dev/null"'
