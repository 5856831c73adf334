//! What went wrong in TLS, in the words that Docker's client has for it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::Failure;
use crate::error::reason;

/// An error of a connection under TLS as a sentence.
pub(super) fn failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => Failure(sentence(error)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure("the daemon closed the connection during the TLS handshake".into())
        }
        None => Failure(reason(error)),
    }
}

/// As [`failure`], for an error of TLS alone.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => {
            format!("tls: failed to verify certificate: x509: {}", certificate(problem))
        }
        Error::AlertReceived(alert) => format!("remote error: tls: {}", self::alert(*alert)),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "tls: first record does not look like a TLS handshake: does the daemon speak TLS?".into()
        }
        other => format!("tls: {other}"),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".into(),
        CertificateError::BadSignature => {
            "certificate signed by unknown authority (one of the same name is trusted, but has not signed it)"
                .into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired or is not yet valid".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid: its time has not come".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("certificate is valid for {names}, not {}", expected.to_str())
        }
        CertificateError::NotValidForName => "certificate is not valid for this host".into(),
        other => other.to_string(),
    }
}

fn alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "certificate required".into(),
        AlertDescription::BadCertificate => "bad certificate".into(),
        AlertDescription::UnknownCA => "unknown certificate authority".into(),
        AlertDescription::CertificateExpired => "expired certificate".into(),
        AlertDescription::CertificateUnknown => "unknown certificate".into(),
        AlertDescription::HandshakeFailure => "handshake failure".into(),
        other => format!("{other:?}"),
    }
}
