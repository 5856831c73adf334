//! `--cache-from` and `--cache-to` as clients say them. What isn't known is refused by name.

use std::collections::HashMap;

use buildkit::Status;
use buildkit::proto::control::{CacheOptionsEntry, SolveRequest};
use engine::build::{CacheExport, CacheForm, CacheImport, CacheTarget, Form};
use oci::{Digest, Reference};
use serde::Deserialize;

use super::compression;

/// Most caches of one build.
const MAX_CACHES: usize = 64;
/// A build argument that asks for a cache in the image (BuildKit 0.8 and later).
const INLINE: &str = "build-arg:BUILDKIT_INLINE_CACHE";

/// As clients tell the frontend of imports.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    r#type: String,
    #[serde(default)]
    attrs: Option<HashMap<String, String>>,
}

/// Where results may be found: said beside the request, or (by older clients, or a second time) to the frontend.
pub(super) fn imports(request: &SolveRequest) -> Result<Vec<CacheImport>, Status> {
    let mut entries: Vec<CacheOptionsEntry> = Vec::new();
    if let Some(cache) = &request.cache {
        entries.extend(cache.imports.iter().cloned());
        entries.extend(cache.import_refs_deprecated.iter().map(|name| registry(name)));
    }
    let attr = |name: &str| request.frontend_attrs.get(name).map(String::as_str).unwrap_or_default();
    if entries.is_empty() {
        let names = attr("cache-from").split(',').map(str::trim).filter(|name| !name.is_empty());
        entries.extend(names.map(registry));
        if !attr("cache-imports").is_empty() {
            let told: Vec<Told> = serde_json::from_str(attr("cache-imports"))
                .map_err(|error| Status::invalid_argument(format!("cache-imports: {error}")))?;
            let entry =
                |told: Told| CacheOptionsEntry { r#type: told.r#type, attrs: told.attrs.unwrap_or_default() };
            entries.extend(told.into_iter().map(entry));
        }
    }
    let mut imports = Vec::new();
    for entry in limited(&entries)? {
        let import = import(entry)?;
        if !imports.contains(&import) {
            imports.push(import);
        }
    }
    Ok(imports)
}

/// Where results go.
pub(super) fn exports(request: &SolveRequest) -> Result<Vec<CacheExport>, Status> {
    let mut exports = Vec::new();
    if let Some(cache) = &request.cache {
        if !cache.export_ref_deprecated.is_empty() {
            let mut attrs = cache.export_attrs_deprecated.clone();
            attrs.insert("ref".to_owned(), cache.export_ref_deprecated.clone());
            exports.push(export(&CacheOptionsEntry { r#type: "registry".to_owned(), attrs })?);
        }
        for entry in limited(&cache.exports)? {
            exports.push(export(entry)?);
        }
    }
    let inline =
        request.frontend_attrs.get(INLINE).is_some_and(|value| matches!(value.as_str(), "1" | "true"));
    let has_inline = exports.iter().any(|export: &CacheExport| export.to == CacheTarget::Inline);
    if inline && !has_inline {
        exports.push(CacheExport { to: CacheTarget::Inline, max: false, ignore_error: false });
    }
    Ok(exports)
}

fn registry(name: &str) -> CacheOptionsEntry {
    let attrs = HashMap::from([("ref".to_owned(), name.to_owned())]);
    CacheOptionsEntry { r#type: "registry".to_owned(), attrs }
}

fn limited(entries: &[CacheOptionsEntry]) -> Result<&[CacheOptionsEntry], Status> {
    if entries.len() > MAX_CACHES {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_CACHES} caches of one build are refused"
        )));
    }
    Ok(entries)
}

fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported by this version of Berth"))
}

/// The attributes of one entry, each of which must be taken.
struct Attrs<'a> {
    flag: &'static str,
    kind: &'a str,
    left: HashMap<String, String>,
}

impl<'a> Attrs<'a> {
    fn new(flag: &'static str, entry: &'a CacheOptionsEntry) -> Self {
        Self { flag, kind: &entry.r#type, left: entry.attrs.clone() }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.left.remove(name).filter(|value| !value.is_empty())
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, Status> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => {
                Err(Status::invalid_argument(format!("{} {name}={other}: neither true nor false", self.flag)))
            }
        }
    }

    fn reference(&mut self) -> Result<Reference, Status> {
        let missing = || Status::invalid_argument(format!("{} type=registry needs a ref", self.flag));
        let name = self.left.remove("ref").filter(|name| !name.is_empty()).ok_or_else(missing)?;
        let wrong = |error| Status::invalid_argument(format!("{} ref={name}: {error}", self.flag));
        Ok(Reference::parse(&name).map_err(wrong)?.with_default_tag())
    }

    fn form(&mut self) -> Result<CacheForm, Status> {
        Ok(CacheForm {
            image_manifest: self.flag("image-manifest")?,
            oci_types: self.flag("oci-mediatypes")?.unwrap_or(true),
        })
    }

    /// Nothing is left that was not looked at.
    fn end(self) -> Result<(), Status> {
        match self.left.iter().min() {
            None => Ok(()),
            Some((name, value)) => {
                Err(unsupported(&format!("{} type={} with {name}={value}", self.flag, self.kind)))
            }
        }
    }
}

fn import(entry: &CacheOptionsEntry) -> Result<CacheImport, Status> {
    let mut attrs = Attrs::new("--cache-from", entry);
    match entry.r#type.as_str() {
        "registry" => {
            let reference = attrs.reference()?;
            attrs.end()?;
            Ok(CacheImport::Registry(reference))
        }
        "local" => {
            let need = |what: &str| Status::invalid_argument(format!("local cache importer requires {what}"));
            let src = attrs.text("src").ok_or_else(|| need("src"))?;
            let digest = attrs.text("digest").ok_or_else(|| need("explicit digest"))?;
            let digest: Digest = digest.parse().map_err(|error| {
                Status::invalid_argument(format!("--cache-from digest={digest}: {error}"))
            })?;
            // by it the client has found the digest
            attrs.text("tag");
            attrs.end()?;
            Ok(CacheImport::Client { src, digest })
        }
        other => Err(unsupported(&format!("--cache-from type={other}"))),
    }
}

fn export(entry: &CacheOptionsEntry) -> Result<CacheExport, Status> {
    let mut attrs = Attrs::new("--cache-to", entry);
    let max = match attrs.text("mode").as_deref() {
        None | Some("min") => false,
        Some("max") => true,
        Some(other) => {
            return Err(Status::invalid_argument(format!("--cache-to mode={other}: neither min nor max")));
        }
    };
    let ignore_error = attrs.flag("ignore-error")?.unwrap_or(false);
    let to = match entry.r#type.as_str() {
        "inline" => CacheTarget::Inline,
        "registry" => {
            // what is so anyway
            for (name, value) in [("compression", "gzip"), ("force-compression", "false")] {
                if attrs.left.get(name).is_some_and(|given| given == value) {
                    attrs.left.remove(name);
                }
            }
            CacheTarget::Registry { reference: attrs.reference()?, form: attrs.form()? }
        }
        "local" => {
            let missing = || Status::invalid_argument("local cache exporter requires dest");
            let dest = attrs.text("dest").ok_or_else(missing)?;
            // where the client notes it is its own matter, and layers are always encoded anew
            attrs.text("tag");
            attrs.flag("force-compression")?;
            let (kind, level) = (attrs.text("compression"), attrs.text("compression-level"));
            let what = "--cache-to type=local";
            let compression = compression::form(what, kind.as_deref(), level.as_deref())?;
            let compression = compression.unwrap_or(Form::Gzip(None));
            CacheTarget::Client { dest, form: attrs.form()?, compression }
        }
        other => return Err(unsupported(&format!("--cache-to type={other}"))),
    };
    attrs.end()?;
    Ok(CacheExport { to, max, ignore_error })
}

#[cfg(test)]
mod tests {
    use buildkit::proto::control::CacheOptions;

    use super::*;

    fn entry(kind: &str, attrs: &[(&str, &str)]) -> CacheOptionsEntry {
        let attrs = attrs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CacheOptionsEntry { r#type: kind.to_owned(), attrs }
    }

    fn asked(imports: Vec<CacheOptionsEntry>, exports: Vec<CacheOptionsEntry>) -> SolveRequest {
        let cache = Some(CacheOptions { imports, exports, ..CacheOptions::default() });
        SolveRequest { cache, ..SolveRequest::default() }
    }

    fn named(name: &str) -> Reference {
        Reference::parse(name).unwrap().with_default_tag()
    }

    #[test]
    fn caches_are_read_wherever_clients_say_them() {
        let request = asked(
            vec![entry("registry", &[("ref", "host/a:1")]), entry("registry", &[("ref", "host/a:1")])],
            vec![entry("registry", &[("ref", "host/b"), ("mode", "max"), ("image-manifest", "false")])],
        );
        assert_eq!(imports(&request).unwrap(), [CacheImport::Registry(named("host/a:1"))]);
        let exported = exports(&request).unwrap();
        assert!(exported[0].max && !exported[0].ignore_error);
        let to = CacheTarget::Registry {
            reference: named("host/b"),
            form: CacheForm { image_manifest: Some(false), oci_types: true },
        };
        assert_eq!(exported[0].to, to);
        let mut request = asked(Vec::new(), Vec::new());
        request.frontend_attrs.insert("cache-from".into(), "a, b".into());
        request.frontend_attrs.insert(INLINE.into(), "1".into());
        assert_eq!(imports(&request).unwrap().len(), 2);
        assert_eq!(exports(&request).unwrap()[0].to, CacheTarget::Inline);
        let told = r#"[{"Type":"registry","Attrs":{"ref":"c"}}]"#;
        request.frontend_attrs.insert("cache-imports".into(), told.into());
        assert_eq!(imports(&request).unwrap().len(), 3);
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (from, why) in [
            (entry("gha", &[]), "--cache-from type=gha"),
            (entry("local", &[("src", "a")]), "requires explicit digest"),
            (entry("local", &[("src", "a"), ("digest", "x")]), "digest=x"),
            (entry("registry", &[]), "needs a ref"),
            (entry("registry", &[("ref", "A")]), "ref=A"),
            (entry("registry", &[("ref", "a"), ("registry.insecure", "true")]), "registry.insecure=true"),
        ] {
            let error = imports(&asked(vec![from], Vec::new())).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        for (to, why) in [
            (entry("s3", &[]), "--cache-to type=s3"),
            (entry("local", &[]), "requires dest"),
            (entry("local", &[("dest", "a"), ("compression", "estargz")]), "compression=estargz"),
            (entry("local", &[("dest", "a"), ("compression-level", "12")]), "compression-level=12"),
            (entry("inline", &[("mode", "all")]), "mode=all"),
            (entry("registry", &[("ref", "a"), ("compression", "zstd")]), "compression=zstd"),
            (entry("registry", &[("ref", "a"), ("ignore-error", "x")]), "ignore-error=x"),
        ] {
            let error = exports(&asked(Vec::new(), vec![to])).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        assert!(
            imports(&asked(vec![entry("registry", &[("ref", "a")]); MAX_CACHES + 1], Vec::new())).is_err()
        );
    }
}
