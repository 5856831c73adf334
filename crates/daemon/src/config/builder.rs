//! `builder` of `daemon.json`: how large the build cache may grow.

use anyhow::{Context as _, Result, bail};
use engine::build::{CacheFilter, CacheLimits, CachePolicy, CacheRule};
use serde::Deserialize;

use super::given::{Given, Value};
use super::parse::bytes;

/// Most rules of a policy.
const MAX_RULES: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Builder {
    #[serde(default)]
    gc: Gc,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Gc {
    enabled: Option<bool>,
    policy: Option<Vec<Rule>>,
    default_keep_storage: String,
    default_reserved_space: String,
    default_max_used_space: String,
    default_min_free_space: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Rule {
    all: bool,
    filter: Vec<String>,
    keep_storage: String,
    reserved_space: String,
    max_used_space: String,
    min_free_space: String,
}

/// Reads it.
pub(super) fn cache_policy(given: &Given) -> Result<CachePolicy> {
    let Some(Value::Structure(json)) = given.get("builder") else { return Ok(CachePolicy::default()) };
    let builder: Builder = serde_json::from_value(json.clone()).context("invalid builder")?;
    let gc = builder.gc;
    if gc.enabled == Some(false) {
        return Ok(CachePolicy::Disabled);
    }
    if let Some(rules) = gc.policy {
        if rules.len() > MAX_RULES {
            bail!("builder.gc.policy has more than {MAX_RULES} rules");
        }
        return Ok(CachePolicy::Rules(rules.iter().map(rule).collect::<Result<_>>()?));
    }
    let limits = CacheLimits {
        reserved_space: reserved(&gc.default_reserved_space, &gc.default_keep_storage)?,
        max_used_space: size(&gc.default_max_used_space)?,
        min_free_space: size(&gc.default_min_free_space)?,
    };
    let none = CacheLimits { reserved_space: 0, max_used_space: 0, min_free_space: 0 };
    Ok(CachePolicy::Limits(Some(limits).filter(|limits| *limits != none)))
}

fn rule(rule: &Rule) -> Result<CacheRule> {
    let mut filters = engine::filters::Filters::default();
    for filter in &rule.filter {
        let (name, value) = filter.split_once('=').unwrap_or((filter, ""));
        filters.add(name.trim(), value.trim());
    }
    let (filter, keep_duration) = CacheFilter::of(&filters).context("invalid builder.gc.policy")?;
    Ok(CacheRule {
        filter,
        all: rule.all,
        keep_duration,
        reserved_space: reserved(&rule.reserved_space, &rule.keep_storage)?,
        max_used_space: size(&rule.max_used_space)?,
        min_free_space: size(&rule.min_free_space)?,
    })
}

/// By its name, or by the one that it had before.
fn reserved(name: &str, before: &str) -> Result<u64> {
    size(if name.is_empty() { before } else { name })
}

fn size(text: &str) -> Result<u64> {
    if text.is_empty() {
        return Ok(0);
    }
    let bytes = bytes(text).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.with_context(|| format!("invalid size {text:?} in builder.gc"))
}

#[cfg(test)]
mod tests {
    use super::super::table::by_key;
    use super::*;

    fn policy(json: serde_json::Value) -> Result<CachePolicy> {
        let mut given = Given::default();
        given.set(by_key("builder").unwrap(), Value::Structure(json));
        cache_policy(&given)
    }

    #[test]
    fn limits_and_rules_are_read() {
        let CachePolicy::Limits(Some(limits)) =
            policy(serde_json::json!({"gc": {"enabled": true, "defaultKeepStorage": "20GB"}})).unwrap()
        else {
            panic!("no limits")
        };
        assert_eq!((limits.reserved_space, limits.max_used_space), (20 << 30, 0));
        let rules = serde_json::json!({"gc": {"policy": [
            {"keepStorage": "10MB", "filter": ["unused-for=48h", "type=source.local"]},
            {"maxUsedSpace": "1GB", "minFreeSpace": "5gb", "all": true}
        ]}});
        let CachePolicy::Rules(rules) = policy(rules).unwrap() else { panic!("no rules") };
        assert_eq!(rules[0].keep_duration.unwrap().as_hours(), 48);
        assert_eq!((rules[0].reserved_space, rules[1].max_used_space), (10 << 20, 1 << 30));
        assert!(rules[1].all && !rules[0].all);
        assert!(matches!(policy(serde_json::json!({"gc": {"enabled": false}})), Ok(CachePolicy::Disabled)));
        assert!(matches!(policy(serde_json::json!({})), Ok(CachePolicy::Limits(None))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, why) in [
            (serde_json::json!({"gc": {"defaultKeepStorage": "much"}}), "\"much\""),
            (serde_json::json!({"gc": {"colour": 1}}), "colour"),
            (serde_json::json!({"entitlements": {"network-host": true}}), "entitlements"),
            (serde_json::json!({"gc": {"policy": [{"filter": ["colour=red"]}]}}), "colour"),
            (serde_json::json!({"gc": {"policy": [{"filter": ["unused-for=x"]}]}}), "\"x\""),
        ] {
            let error = format!("{:#}", policy(json).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }
}
