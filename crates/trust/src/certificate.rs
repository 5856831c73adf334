//! The certificates that Fulcio makes: who signed, for ten minutes, with which key.
//!
//! The chain is webpki's to check (RFC 5280). What only sigstore means, the identity in the subject's alternative
//! names and the extension with the issuer of the OIDC token, is read here
//! (github.com/sigstore/fulcio/blob/main/docs/oid-info.md).

use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::der::{self, Cursor, DerError};
use crate::limits;

/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.3.6.1.4.1.57264.1.1: the issuer as bare bytes.
const ISSUER_V1: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];
/// 1.3.6.1.4.1.57264.1.8: the issuer as a UTF8String.
const ISSUER_V2: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("its certificate is not valid PEM or DER")]
    Malformed,
    #[error("it has more than {max} certificates", max = limits::CERTIFICATES)]
    TooMany,
    #[error("its certificate does not lead to the configured authority at the time of the signature: {0}")]
    Chain(String),
    #[error("the certificate names two different issuers")]
    TwoIssuers,
}

/// What a certificate says of the signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// The SubjectPublicKeyInfo.
    pub(crate) spki: Vec<u8>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) emails: Vec<String>,
    pub(crate) uris: Vec<String>,
    /// Who vouched for the identity: the issuer of the OIDC token.
    pub(crate) issuer: Option<String>,
}

impl Certificate {
    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut fields = read(bytes).map_err(|DerError| CertificateError::Malformed)?;
        let issuer = match (fields.issuer_v1.take(), fields.issuer_v2.take()) {
            (Some(v1), Some(v2)) if v1 != v2 => return Err(CertificateError::TwoIssuers),
            (v1, v2) => v2.or(v1),
        };
        Ok(Self { issuer, ..fields.certificate })
    }

    /// Whether the certificate was good at `time` (seconds since 1970) and leads to one of `authority`.
    pub(crate) fn check_chain(
        &self,
        chain: &[Vec<u8>],
        authority: &[Certificate],
        time: i64,
    ) -> Result<(), CertificateError> {
        let malformed = |_| CertificateError::Malformed;
        let seconds = u64::try_from(time).map_err(|error| CertificateError::Chain(error.to_string()))?;
        let roots: Vec<CertificateDer<'_>> = authority
            .iter()
            // webpki takes an anchor as given and does not look when it ends
            .filter(|root| (root.not_before..=root.not_after).contains(&time))
            .map(|root| CertificateDer::from(root.der.as_slice()))
            .collect();
        let anchors: Vec<TrustAnchor<'_>> = roots
            .iter()
            .map(webpki::anchor_from_trusted_cert)
            .collect::<Result<_, _>>()
            .map_err(malformed)?;
        let between: Vec<CertificateDer<'_>> =
            chain.iter().map(|link| CertificateDer::from(link.as_slice())).collect();
        let leaf = CertificateDer::from(self.der.as_slice());
        EndEntityCert::try_from(&leaf)
            .map_err(malformed)?
            .verify_for_usage(
                ALGORITHMS,
                &anchors,
                &between,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::required(CODE_SIGNING),
                None,
                None,
            )
            .map(drop)
            .map_err(|error| CertificateError::Chain(error.to_string()))
    }
}

/// The certificates of a PEM text, in its order.
pub(crate) fn from_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        if certificates.len() == limits::CERTIFICATES {
            return Err(CertificateError::TooMany);
        }
        certificates.push(certificate.ok().ok_or(CertificateError::Malformed)?.to_vec());
    }
    Ok(certificates)
}

struct Fields {
    certificate: Certificate,
    issuer_v1: Option<String>,
    issuer_v2: Option<String>,
}

/// RFC 5280 4.1: what we need of a certificate.
fn read(bytes: &[u8]) -> Result<Fields, DerError> {
    let mut outer = Cursor::new(bytes);
    let mut signed = Cursor::new(outer.expect(der::SEQUENCE)?);
    outer.finish()?;
    let mut body = Cursor::new(signed.expect(der::SEQUENCE)?);
    body.expect(der::context(0))?;
    body.expect(der::INTEGER)?;
    body.expect(der::SEQUENCE)?;
    body.expect(der::SEQUENCE)?;
    let mut validity = Cursor::new(body.expect(der::SEQUENCE)?);
    let mut when = || validity.any().and_then(|(tag, content, _)| der::time(tag, content));
    let (not_before, not_after) = (when()?, when()?);
    body.expect(der::SEQUENCE)?;
    let (tag, _, spki) = body.any()?;
    if tag != der::SEQUENCE {
        return Err(DerError);
    }
    let mut fields = Fields {
        certificate: Certificate {
            der: bytes.into(),
            spki: spki.into(),
            not_before,
            not_after,
            emails: Vec::new(),
            uris: Vec::new(),
            issuer: None,
        },
        issuer_v1: None,
        issuer_v2: None,
    };
    while !body.is_empty() {
        let (tag, content, _) = body.any()?;
        if tag == der::context(3) {
            let mut list = Cursor::new(content);
            let mut extensions = Cursor::new(list.expect(der::SEQUENCE)?);
            list.finish()?;
            while !extensions.is_empty() {
                fields.extension(extensions.expect(der::SEQUENCE)?)?;
            }
        }
    }
    Ok(fields)
}

impl Fields {
    fn extension(&mut self, content: &[u8]) -> Result<(), DerError> {
        let mut extension = Cursor::new(content);
        let id = extension.expect(der::OID)?;
        extension.optional(der::BOOLEAN)?;
        let value = extension.expect(der::OCTET_STRING)?;
        extension.finish()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok().ok_or(DerError);
        // an extension that stands there twice could be read either way
        let once = |slot: &mut Option<String>, value: String| match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(DerError),
        };
        match id {
            ISSUER_V1 => once(&mut self.issuer_v1, text(value)?),
            ISSUER_V2 => {
                let mut inner = Cursor::new(value);
                let issuer = inner.expect(der::UTF8_STRING)?;
                inner.finish()?;
                once(&mut self.issuer_v2, text(issuer)?)
            }
            SUBJECT_ALT_NAME => self.names(value),
            _ => Ok(()),
        }
    }

    /// GeneralNames: rfc822Name is `[1]`, uniformResourceIdentifier `[6]`.
    fn names(&mut self, value: &[u8]) -> Result<(), DerError> {
        let certificate = &mut self.certificate;
        if !certificate.emails.is_empty() || !certificate.uris.is_empty() {
            return Err(DerError);
        }
        let mut outer = Cursor::new(value);
        let mut names = Cursor::new(outer.expect(der::SEQUENCE)?);
        outer.finish()?;
        while !names.is_empty() {
            let (tag, content, _) = names.any()?;
            let list = match tag {
                _ if tag == der::context_primitive(1) => &mut certificate.emails,
                _ if tag == der::context_primitive(6) => &mut certificate.uris,
                _ => continue,
            };
            if !content.is_ascii() || content.contains(&0) {
                return Err(DerError);
            }
            list.push(String::from_utf8_lossy(content).into_owned());
        }
        Ok(())
    }
}
