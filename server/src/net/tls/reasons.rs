//! Why a session fails, in OpenSSL's words: what users of `redis-cli --tls` know, and search for.

use rustls::{Error, InvalidMessage};

/// What the other side says when it gives up: RFC 8446, section 6.
const ALERTS: [(u8, &str); 22] = [
    (10, "sslv3 alert unexpected message"),
    (20, "sslv3 alert bad record mac"),
    (22, "tlsv1 alert record overflow"),
    (40, "sslv3 alert handshake failure"),
    (42, "sslv3 alert bad certificate"),
    (43, "sslv3 alert unsupported certificate"),
    (44, "sslv3 alert certificate revoked"),
    (45, "sslv3 alert certificate expired"),
    (46, "sslv3 alert certificate unknown"),
    (47, "sslv3 alert illegal parameter"),
    (48, "tlsv1 alert unknown ca"),
    (49, "tlsv1 alert access denied"),
    (50, "tlsv1 alert decode error"),
    (51, "tlsv1 alert decrypt error"),
    (70, "tlsv1 alert protocol version"),
    (71, "tlsv1 alert insufficient security"),
    (80, "tlsv1 alert internal error"),
    (86, "tlsv1 alert inappropriate fallback"),
    (109, "tlsv13 alert missing extension"),
    (112, "tlsv1 unrecognized name"),
    (116, "tlsv13 alert certificate required"),
    (120, "tlsv1 alert no application protocol"),
];

pub(super) fn reason(error: &Error) -> String {
    use InvalidMessage::{InvalidContentType, MessageTooLarge, UnknownProtocolVersion};
    let known = match error {
        Error::InvalidCertificate(_) => Some("certificate verify failed"),
        // What no TLS begins with.
        Error::InvalidMessage(InvalidContentType | UnknownProtocolVersion | MessageTooLarge) => {
            Some("wrong version number")
        }
        Error::AlertReceived(alert) => {
            let number = u8::from(*alert);
            ALERTS.iter().find(|(known, _)| *known == number).map(|(_, text)| *text)
        }
        _ => None,
    };
    known.map_or_else(|| error.to_string(), str::to_owned)
}
