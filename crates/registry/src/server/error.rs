//! Errors as the specification writes them: a code, a sentence, and a status.

use hyper::StatusCode;
use hyper::header::HeaderName;
use serde_json::{Value, json};

use super::name::NameError;
use super::storage::StorageError;

/// The codes of the specification ("Error Codes"), and those that Docker's registry adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The repository has no such blob.
    BlobUnknown,
    /// An upload can't be gone on with like this.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// No digest, or not that of the content.
    DigestInvalid,
    /// A manifest refers to what the repository does not have.
    ManifestBlobUnknown,
    /// Not a manifest that this registry takes.
    ManifestInvalid,
    /// The repository has no such manifest.
    ManifestUnknown,
    /// Not a repository's name.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// Bytes are missing, or there are too many.
    SizeInvalid,
    /// The same, and so many that they are not read.
    TooLarge,
    /// Not a tag.
    TagInvalid,
    /// Who is asking?
    Unauthorized,
    /// Not for whom is asking.
    Denied,
    /// Nothing that this registry does.
    Unsupported,
    /// Not the part of an upload or of a blob that is there.
    RangeInvalid,
    /// The number of entries on a page is none, or too large.
    PaginationNumberInvalid,
    /// Not a request of this protocol.
    NotFound,
    /// Later, please.
    TooManyRequests,
    /// Something behind this registry does not answer.
    Unavailable,
    /// This registry's own failure.
    Unknown,
}

impl Code {
    /// The word that stands in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid | Self::TooLarge => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
            Self::NotFound | Self::Unknown => "UNKNOWN",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown
            | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::TagInvalid
            | Self::PaginationNumberInvalid => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of refusal.
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    extra: Box<Extra>,
}

#[derive(Debug, Default)]
struct Extra {
    detail: Value,
    headers: Vec<(HeaderName, String)>,
    cause: Option<StorageError>,
}

/// The outcome of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal without detail.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), extra: Box::default() }
    }

    /// With what programs may want to know.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.extra.detail = detail;
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.extra.headers.push((name, value.into()));
        self
    }

    /// Without its headers.
    pub(crate) fn bare(mut self) -> Self {
        self.extra.headers.clear();
        self
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut error = json!({"code": self.code.as_str(), "message": self.message});
        if !self.extra.detail.is_null() {
            error["detail"] = self.extra.detail.clone();
        }
        json!({"errors": [error]})
    }

    /// Headers that go with it.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, String)] {
        &self.extra.headers
    }

    /// What only the registry's own log is told.
    #[must_use]
    pub fn cause(&self) -> Option<&StorageError> {
        self.extra.cause.as_ref()
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoUpload => Self::new(Code::BlobUploadUnknown, "there is no such upload"),
            StorageError::Offset { .. } => Self::new(Code::BlobUploadInvalid, error.to_string()),
            cause @ StorageError::Unavailable { .. } => {
                let mut error = Self::new(Code::Unavailable, "the registry's storage does not answer now");
                error.extra.cause = Some(cause);
                error
            }
            cause => {
                let full = matches!(&cause, StorageError::Io { source, .. }
                    if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded));
                let message =
                    if full { "the registry's storage is full" } else { "the registry's storage failed" };
                let mut error = Self::new(Code::Unknown, message);
                error.extra.cause = Some(cause);
                error
            }
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        let code = match error {
            NameError::Tag(_) => Code::TagInvalid,
            NameError::Name(_) | NameError::TooLong => Code::NameInvalid,
        };
        Self::new(code, error.to_string())
    }
}
