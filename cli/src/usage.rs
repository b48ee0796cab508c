//! `--help`, and HELP at a prompt.

use crate::name::Name;

const TEXT: &str = "\
  -h <hostname>      Server hostname (default: 127.0.0.1).
  -p <port>          Server port (default: 6379).
  -t <timeout>       Connection timeout in seconds (decimals allowed; default: the system's).
  -s <socket>        Server's unix socket, instead of hostname and port.
  -a, --pass <password>  Password. REDISCLI_AUTH or VALKEYCLI_AUTH in the environment is safer.
  --user <username>  User of the password.
  --askpass          Ask for the password.
  -u <uri>           redis://user:password@host:port/dbnum, rediss:// by TLS, or unix://path.
  -r <repeat>        Execute the command N times, for ever if negative.
  -i <interval>      Seconds between repetitions, and between pages of --scan.
  -n <db>            Database number.
  -2, -3             Protocol RESP2 or RESP3.
  -x                 Read the last argument from standard input.
  -X <tag>           Read the argument <tag> from standard input.
  -d <delimiter>     Between elements of raw replies (default: \\n).
  -D <delimiter>     Between raw replies (default: \\n).
  -c                 Nothing: there is one node.
  -e                 Exit status 1 when the command fails.
  -4, -6             Prefer that version of IP.
  --tls              Speak TLS. The server's certificate is verified, not the name in it.
  --sni <host>       Name to ask the server for (default: none).
  --cacert <file>    Authorities to verify with (default: the system's).
  --cacertdir <dir>  Authorities, too: every certificate in that directory.
  --insecure         Do not verify the server's certificate.
  --cert <file>      Certificate to show to the server.
  --key <file>       Its private key.
  --tls-ciphers <list>  Ciphers of TLS 1.2, as in ciphers(1ssl).
  --tls-ciphersuites <list>  Ciphers of TLS 1.3.
  --raw              Plain replies (default unless standard output is a terminal).
  --no-raw           Formatted replies everywhere.
  --quoted-input     Arguments are quoted strings.
  --csv              Replies as CSV.
  --json             Replies as JSON, by RESP3 unless -2 says otherwise.
  --quoted-json      The same in ASCII.
  --show-pushes <yn> Print RESP3 push messages (default on a terminal).
  --pipe             Send raw protocol from standard input.
  --pipe-timeout <n> Seconds without a reply after which --pipe gives up (default: 30; 0: never).
  --scan             List all keys.
  --pattern <pat>    Keys of --scan (default: *).
  --quoted-pattern <pat>  The same, quoted.
  --count <count>    COUNT of --scan (default: 10).
  --type <type>      TYPE of --scan.
  --no-auth-warning  No warning about a password among the arguments.
  --help, --version

Not built: cluster, replication, scripting, --stat, --latency, --bigkeys and their like.
Without a command it reads commands, one a line, from the terminal or from standard input.
";

pub(crate) fn text(name: Name) -> String {
    let Name { tool, version, .. } = name;
    format!("{tool} {version}\n\nUsage: {tool} [OPTIONS] [cmd [arg [arg ...]]]\n{TEXT}")
}

pub(crate) fn prompt(name: Name) -> String {
    let Name { tool, version, product, .. } = name;
    format!(
        "{tool} {version}\n\
         To get help about {product} commands type:\n      \
         \"help @<group>\" to get a list of commands in <group>\n      \
         \"help <command>\" for help on <command>\n      \
         \"quit\" to exit\n"
    )
}
