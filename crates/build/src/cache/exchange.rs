//! A cache that travels, in BuildKit's form (`cache/remotecache/v1`, `application/vnd.buildkit.cacheconfig.v0`): layers
//! as a forest, and what leads to them by digest.
//!
//! Our records are named by their keys, which are digests of everything that a result depends on; BuildKit's are named
//! otherwise. Both can read the other's, and neither takes the other's results for its own.

use std::collections::HashMap;

use jiff::Timestamp;
use oci::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::{Error, Result};

/// Media type of [`Config`].
pub const CONFIG_TYPE: &str = "application/vnd.buildkit.cacheconfig.v0";
/// When a layer was made, as an annotation.
const CREATED_AT: &str = "buildkit/createdat";
/// The digest of a layer's tar, as an annotation.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// Longest configuration, in bytes.
pub const MAX_CONFIG: usize = 32 << 20;
/// Most layers and most records.
const MAX_ENTRIES: usize = 100_000;

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Layers; each names the one below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// What leads to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Entry>,
}

/// A layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// Digest of its blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Digest>,
    /// The layer below it by its place, -1 for the lowest.
    #[serde(skip_serializing_if = "is_zero")]
    pub parent: i64,
    /// What else is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What is known of a layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Annotations {
    /// Of its blob.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// Digest of its tar.
    #[serde(rename = "diffID", skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<Digest>,
    /// Bytes of its blob.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: i64,
    /// When it was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// What leads to layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Results that are layers, by the uppermost.
    #[serde(rename = "layers", skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Outcome>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Records that it was made from: for each input those that would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Vec<Link>>,
}

/// A result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Outcome {
    /// The uppermost layer's place.
    pub layer: i64,
    /// When it was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// Another record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Which part of its result.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Its place.
    pub link: i64,
}

/// The name that a record's output has in a cache that travels.
pub fn name(key: &str, output: u32) -> Digest {
    // BuildKit's way of telling outputs apart, below a word that none of its own digests begins with
    Digest::sha256(format!("berth {key}@{output}").as_bytes())
}

/// Gathers records for a cache that goes out.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Stacks of layers, lowest first, each once, every one's layers before it.
    stacks: Vec<Vec<Digest>>,
    places: HashMap<Vec<Digest>, usize>,
    entries: Vec<Entry>,
    by_key: HashMap<String, Vec<usize>>,
    made: HashMap<usize, Timestamp>,
}

impl Outgoing {
    /// Adds a record with those of its outputs that have layers and that `wanted` names.
    pub fn add(&mut self, key: &str, record: &Record, wanted: &dyn Fn(&[Digest]) -> bool) {
        if self.by_key.contains_key(key) {
            return;
        }
        let inputs: Vec<Vec<Link>> = record
            .parents
            .iter()
            .filter_map(|parent| self.by_key.get(parent))
            .map(|places| {
                places.iter().map(|place| Link { link: index(*place), ..Link::default() }).collect()
            })
            .collect();
        for (output, layers) in
            record.outputs.iter().filter(|(_, layers)| !layers.is_empty() && wanted(layers))
        {
            let layer = self.stack(layers);
            self.made.entry(layer).or_insert(record.created);
            let result = Outcome { layer: index(layer), created_at: Some(record.created.to_string()) };
            let entry =
                Entry { results: vec![result], digest: Some(name(key, *output)), inputs: inputs.clone() };
            self.by_key.entry(key.to_owned()).or_default().push(self.entries.len());
            self.entries.push(entry);
        }
    }

    /// The place of a stack's uppermost layer.
    fn stack(&mut self, layers: &[Digest]) -> usize {
        if let Some(place) = self.places.get(layers) {
            return *place;
        }
        if layers.len() > 1 {
            self.stack(&layers[..layers.len() - 1]);
        }
        self.places.insert(layers.to_vec(), self.stacks.len());
        self.stacks.push(layers.to_vec());
        self.stacks.len() - 1
    }

    /// All stacks that must travel: the uppermost layer of each is what there is to be sent.
    pub fn stacks(&self) -> &[Vec<Digest>] {
        &self.stacks
    }

    /// The document, when the blob of each stack's uppermost layer is known; and the blobs as a manifest names them.
    ///
    /// # Errors
    /// Not one blob for each stack.
    pub fn config(&self, blobs: &[Descriptor]) -> Result<(Config, Vec<Descriptor>)> {
        if blobs.len() != self.stacks.len() {
            return Err(Error::Invalid(format!("{} blobs for {} layers", blobs.len(), self.stacks.len())));
        }
        let mut layers = Vec::new();
        let mut named: Vec<Descriptor> = Vec::new();
        for (place, (stack, blob)) in self.stacks.iter().zip(blobs).enumerate() {
            let parent = self.places.get(&stack[..stack.len() - 1]).map_or(-1, |place| index(*place));
            let created_at = self.made.get(&place).map(ToString::to_string);
            let diff_id = stack.last().cloned();
            layers.push(Layer {
                blob: Some(blob.digest.clone()),
                parent,
                annotations: Some(Annotations {
                    media_type: blob.media_type.clone(),
                    diff_id: diff_id.clone(),
                    size: i64::try_from(blob.size).unwrap_or(i64::MAX),
                    created_at: created_at.clone(),
                }),
            });
            if named.iter().any(|known| known.digest == blob.digest) {
                continue;
            }
            let mut blob = blob.clone();
            blob.annotations.extend(created_at.map(|at| (CREATED_AT.to_owned(), at)));
            blob.annotations.extend(diff_id.map(|id| (UNCOMPRESSED.to_owned(), id.to_string())));
            named.push(blob);
        }
        Ok((Config { layers, records: self.entries.clone() }, named))
    }

    /// The records for an image that carries them itself: `layers` are its own, and the records' places are theirs.
    pub fn inline(&self, layers: &[Digest]) -> Vec<Entry> {
        let mut kept: HashMap<i64, i64> = HashMap::new();
        let mut entries = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            let results: Vec<Outcome> = entry
                .results
                .iter()
                .filter_map(|result| {
                    let stack = self.stacks.get(usize::try_from(result.layer).ok()?)?;
                    let layer = index(stack.len().checked_sub(1).filter(|_| layers.starts_with(stack))?);
                    Some(Outcome { layer, ..result.clone() })
                })
                .collect();
            if results.is_empty() {
                continue;
            }
            let renamed =
                |link: &Link| kept.get(&link.link).map(|link| Link { link: *link, ..Link::default() });
            let inputs = entry.inputs.iter().map(|links| links.iter().filter_map(renamed).collect());
            let inputs = inputs.filter(|links: &Vec<Link>| !links.is_empty()).collect();
            kept.insert(index(place), index(entries.len()));
            entries.push(Entry { results, digest: entry.digest.clone(), inputs });
        }
        entries
    }
}

fn index(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// A cache that has come in, checked.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    layers: Vec<(Descriptor, Digest, Option<usize>)>,
    by_name: HashMap<Digest, (usize, Timestamp)>,
}

/// A layer of an [`Incoming`] cache: its blob, and the digest of its tar.
pub type IncomingLayer = (Descriptor, Digest);

impl Incoming {
    /// Reads a document. `blobs` are those that the manifest names: no other is ever fetched.
    ///
    /// # Errors
    /// It is malformed, or larger than anything that is taken.
    pub fn read(bytes: &[u8], blobs: &[Descriptor]) -> Result<Self> {
        if bytes.len() > MAX_CONFIG {
            return Err(Error::Invalid(format!(
                "a cache configuration of more than {MAX_CONFIG} bytes is refused"
            )));
        }
        let config: Config = serde_json::from_slice(bytes)
            .map_err(|error| Error::because("read a cache configuration", error))?;
        Self::of(config, blobs)
    }

    /// The records that an image carries; `layers` are its blobs and the digests of their tars, lowest first.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn inline(bytes: &[u8], layers: &[IncomingLayer]) -> Result<Self> {
        let records: Vec<Entry> =
            serde_json::from_slice(bytes).map_err(|error| Error::because("read an image's cache", error))?;
        let named = |(place, (blob, diff_id)): (usize, &IncomingLayer)| Layer {
            blob: Some(blob.digest.clone()),
            parent: index(place) - 1,
            annotations: Some(Annotations { diff_id: Some(diff_id.clone()), ..Annotations::default() }),
        };
        let config = Config { layers: layers.iter().enumerate().map(named).collect(), records };
        let blobs: Vec<Descriptor> = layers.iter().map(|(blob, _)| blob.clone()).collect();
        Self::of(config, &blobs)
    }

    fn of(config: Config, blobs: &[Descriptor]) -> Result<Self> {
        if config.layers.len() > MAX_ENTRIES || config.records.len() > MAX_ENTRIES {
            return Err(Error::Invalid(format!("a cache of more than {MAX_ENTRIES} entries is refused")));
        }
        let blobs: HashMap<&Digest, &Descriptor> = blobs.iter().map(|blob| (&blob.digest, blob)).collect();
        // a layer that can't be had, or whose tar nobody names, is one that nothing leads to
        let mut layers = Vec::new();
        let mut usable = Vec::new();
        for layer in &config.layers {
            let diff_id = layer.annotations.as_ref().and_then(|known| known.diff_id.clone());
            let blob = layer.blob.as_ref().and_then(|blob| blobs.get(blob));
            let parent = usize::try_from(layer.parent).ok();
            let stands = layer.parent == -1 || parent.is_some_and(|parent| parent < config.layers.len());
            usable.push(stands && diff_id.is_some() && blob.is_some());
            let blob =
                blob.map_or_else(|| Descriptor::new("", Digest::sha256(b""), 0), |blob| (*blob).clone());
            layers.push((blob, diff_id.unwrap_or_else(|| Digest::sha256(b"")), parent));
        }
        let mut read = Self { layers, by_name: HashMap::new() };
        for entry in &config.records {
            let Some(name) = &entry.digest else { continue };
            let result = entry.results.iter().find_map(|result| {
                let place = usize::try_from(result.layer).ok()?;
                let whole = read.chain(place)?.iter().all(|place| usable.get(*place) == Some(&true));
                let at = result.created_at.as_ref().and_then(|at| at.parse().ok());
                whole.then_some((place, at.unwrap_or(Timestamp::UNIX_EPOCH)))
            });
            read.by_name.extend(result.map(|result| (name.clone(), result)));
        }
        Ok(read)
    }

    /// The places of a layer and of those below it, lowest first; `None` when they run in a circle or pile up too high.
    fn chain(&self, place: usize) -> Option<Vec<usize>> {
        let mut chain = Vec::new();
        let mut next = Some(place);
        while let Some(place) = next {
            if chain.len() == oci::manifest::MAX_LAYERS {
                return None;
            }
            chain.push(place);
            next = self.layers.get(place)?.2;
        }
        chain.reverse();
        Some(chain)
    }

    /// How many results there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The layers of an output, lowest first, and when it was made.
    pub fn find(&self, key: &Digest, output: u32) -> Option<(Vec<IncomingLayer>, Timestamp)> {
        let (place, at) = self.by_name.get(&name(key.hex(), output))?;
        let chain = self.chain(*place)?;
        let layer =
            |place: usize| self.layers.get(place).map(|(blob, diff_id, _)| (blob.clone(), diff_id.clone()));
        Some((chain.into_iter().filter_map(layer).collect(), *at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn record(outputs: Vec<(u32, Vec<Digest>)>, parents: Vec<String>) -> Record {
        Record {
            description: String::new(),
            kind: Kind::Regular,
            outputs,
            created: Timestamp::from_second(7).unwrap(),
            used: None,
            uses: 0,
            size: 0,
            added: None,
            parents,
            note: None,
        }
    }

    fn blob(text: &str) -> Descriptor {
        Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip", digest(&format!("blob {text}")), 3)
    }

    /// `a`, `b` above it, and `c` beside that.
    fn outgoing() -> (Outgoing, [Digest; 2]) {
        let (first, second) = (digest("first"), digest("second"));
        let mut out = Outgoing::default();
        let stack = |names: &[&str]| names.iter().map(|name| digest(name)).collect::<Vec<_>>();
        out.add(first.hex(), &record(vec![(0, stack(&["a", "b"]))], Vec::new()), &|_| true);
        let outputs = vec![(0, stack(&["a", "c"])), (2, stack(&["a", "b"])), (3, Vec::new())];
        out.add(second.hex(), &record(outputs, vec![first.hex().to_owned()]), &|_| true);
        (out, [first, second])
    }

    #[test]
    fn what_goes_out_comes_in() {
        let (out, [first, second]) = outgoing();
        let tops: Vec<&Digest> = out.stacks().iter().map(|stack| stack.last().unwrap()).collect();
        assert_eq!(tops, [&digest("a"), &digest("b"), &digest("c")]);
        let blobs = [blob("a"), blob("b"), blob("c")];
        let (config, named) = out.config(&blobs).unwrap();
        assert_eq!(named.len(), 3);
        assert_eq!(named[1].annotations[UNCOMPRESSED], digest("b").to_string());
        let bytes = serde_json::to_vec(&config).unwrap();
        let read = Incoming::read(&bytes, &named).unwrap();
        let layers = |key: &Digest, output| {
            let (layers, at) = read.find(key, output)?;
            assert_eq!(at.as_second(), 7);
            Some(layers.into_iter().map(|(blob, id)| (blob.digest, id)).collect::<Vec<_>>())
        };
        let pair = |name: &str| (blob(name).digest, digest(name));
        assert_eq!(layers(&first, 0), Some(vec![pair("a"), pair("b")]));
        assert_eq!(layers(&second, 0), Some(vec![pair("a"), pair("c")]));
        assert_eq!(layers(&second, 2), Some(vec![pair("a"), pair("b")]));
        assert_eq!(layers(&second, 3), None);
        assert_eq!(layers(&digest("other"), 0), None);
        // a blob that the manifest doesn't name is not fetched, and so its results are not known
        assert_eq!(Incoming::read(&bytes, &named[..2]).unwrap().len(), 2);
        assert!(out.config(&blobs[..2]).is_err());
    }

    #[test]
    fn an_image_carries_what_leads_to_its_own_layers() {
        let (out, [first, second]) = outgoing();
        let own = [digest("a"), digest("c")];
        let bytes = serde_json::to_vec(&out.inline(&own)).unwrap();
        let layers = [(blob("a"), digest("a")), (blob("c"), digest("c"))];
        let read = Incoming::inline(&bytes, &layers).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read.find(&second, 0).unwrap().0, layers);
        assert!(read.find(&first, 0).is_none());
    }

    #[test]
    fn buildkit_s_own_document_is_read() {
        let (a, b) = (digest("a"), digest("b"));
        let text = format!(
            r#"{{"layers":[{{"blob":"{blob}","parent":-1,"annotations":{{"mediaType":"x","diffID":"{a}","size":3,"createdAt":"2026-01-02T03:04:05.6Z"}}}},{{"blob":"{other}","annotations":{{"diffID":"{b}"}}}}],
            "records":[{{"digest":"{b}","inputs":[[{{"link":1}}]],"layers":[{{"layer":1,"createdAt":"2026-01-02T03:04:05Z"}}]}},{{"digest":"{a}","chains":[{{"layers":[0]}}]}}]}}"#,
            blob = blob("a").digest,
            other = blob("b").digest,
        );
        let read = Incoming::read(text.as_bytes(), &[blob("a"), blob("b")]).unwrap();
        assert_eq!(read.len(), 1);
        // and none of its names is one of ours
        assert!(read.find(&b, 0).is_none());
    }

    #[test]
    fn circles_and_places_that_are_none_lead_nowhere() {
        let named = name(digest("key").hex(), 0);
        for parent in ["1", "0", "7", "-2"] {
            let text = format!(
                r#"{{"layers":[{{"blob":"{blob}","parent":{parent},"annotations":{{"diffID":"{a}"}}}},{{"blob":"{blob}","annotations":{{"diffID":"{a}"}}}}],
                "records":[{{"digest":"{named}","layers":[{{"layer":0}},{{"layer":-1}},{{"layer":9}}]}}]}}"#,
                blob = blob("a").digest,
                a = digest("a"),
            );
            let read = Incoming::read(text.as_bytes(), &[blob("a")]).unwrap();
            assert!(read.is_empty(), "{parent}");
        }
        assert!(Incoming::read(b"[", &[]).is_err());
        let many = format!(r#"{{"layers":[{}]}}"#, vec!["{}"; MAX_ENTRIES + 1].join(","));
        assert!(Incoming::read(many.as_bytes(), &[]).is_err());
    }
}
