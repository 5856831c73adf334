//! Transactions, put together from conditions and steps.

use crate::wire::{
    Compare, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, RequestOp, ResponseOp, Target,
    TxnRequest, compare::With, request_op::Request, response_op::Response,
};

/// A transaction in the making.
#[derive(Debug, Default, Clone)]
pub(crate) struct Txn(TxnRequest);

impl Txn {
    /// If the key is not there.
    pub(crate) fn if_absent(self, key: &str) -> Self {
        self.condition(0, Target::Version, key.as_bytes(), &[], With::Version(0))
    }

    /// If the key is there.
    pub(crate) fn if_present(self, key: &str) -> Self {
        self.condition(1, Target::Version, key.as_bytes(), &[], With::Version(0))
    }

    /// If none of these keys is there.
    pub(crate) fn if_none(self, (first, end): &(Vec<u8>, Vec<u8>)) -> Self {
        self.condition(0, Target::Version, first, end, With::Version(0))
    }

    /// If the key was changed last at this revision; 0 = it is not there.
    pub(crate) fn if_unchanged(self, key: &str, revision: i64) -> Self {
        self.condition(0, Target::Mod, key.as_bytes(), &[], With::ModRevision(revision))
    }

    /// If the key has this value.
    pub(crate) fn if_value(self, key: &str, value: Vec<u8>) -> Self {
        self.condition(0, Target::Value, key.as_bytes(), &[], With::Value(value))
    }

    fn condition(mut self, result: i32, target: Target, key: &[u8], end: &[u8], with: With) -> Self {
        self.0.compare.push(Compare {
            result,
            target: target.into(),
            key: key.to_vec(),
            with: Some(with),
            range_end: end.to_vec(),
        });
        self
    }

    /// Then put this, to go with the lease; 0 = to stay.
    pub(crate) fn put(mut self, key: &str, value: Vec<u8>, lease: i64) -> Self {
        let put = PutRequest { key: key.into(), value, lease };
        self.0.success.push(RequestOp { request: Some(Request::Put(put)) });
        self
    }

    /// Then delete this.
    pub(crate) fn delete(mut self, key: &str) -> Self {
        let delete = DeleteRangeRequest { key: key.into(), range_end: Vec::new() };
        self.0.success.push(RequestOp { request: Some(Request::DeleteRange(delete)) });
        self
    }

    /// Else tell what this is.
    pub(crate) fn or_get(mut self, key: &str) -> Self {
        let get = RangeRequest { key: key.into(), ..RangeRequest::default() };
        self.0.failure.push(RequestOp { request: Some(Request::Range(get)) });
        self
    }

    pub(crate) fn build(self) -> TxnRequest {
        self.0
    }
}

/// The keys that the steps of [`Txn::or_get`] found, one for each; `None` where there is none.
pub(crate) fn found(responses: Vec<ResponseOp>) -> impl Iterator<Item = Option<KeyValue>> {
    responses.into_iter().map(|one| match one.response {
        Some(Response::Range(range)) => range.kvs.into_iter().next(),
        _ => None,
    })
}
