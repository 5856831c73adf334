use super::*;

fn with(text: &str, known: &Known<'_>) -> Vec<(usize, &'static str, String)> {
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    check(&file, known).into_iter().map(|found| (found.line, found.rule.name(), found.message)).collect()
}

fn found(text: &str) -> Vec<(usize, &'static str)> {
    with(text, &Known::default()).into_iter().map(|(line, rule, _)| (line, rule)).collect()
}

#[test]
fn every_rule_has_an_offender() {
    for (text, expected) in [
        ("FROM scratch\nlabel a=b\nLABEL c=d", vec![(2, "ConsistentInstructionCasing")]),
        ("from scratch\nlabel a=b\nLABEL c=d", vec![(3, "ConsistentInstructionCasing")]),
        ("FROM scratch AS a\nFROM scratch AS a", vec![(2, "DuplicateStageName")]),
        ("FROM scratch\nEXPOSE 80/TCP", vec![(2, "ExposeProtoCasing")]),
        ("FROM scratch\nEXPOSE 127.0.0.1:80:80", vec![(2, "ExposeInvalidFormat")]),
        ("FROM scratch as a", vec![(1, "FromAsCasing")]),
        ("FROM --platform=linux/amd64 x", vec![(1, "FromPlatformFlagConstDisallowed")]),
        ("FROM --platform=$TARGETPLATFORM x", vec![(1, "RedundantTargetPlatform")]),
        ("ARG T\nFROM x:$T", vec![(2, "InvalidDefaultArgInFrom")]),
        ("ARG T\nFROM x:${T:-1}", vec![]),
        ("FROM scratch\nCMD a b", vec![(2, "JSONArgsRecommended")]),
        ("FROM scratch\nSHELL [\"x\"]\nCMD a b", vec![]),
        ("FROM scratch\nENV a b", vec![(2, "LegacyKeyValueFormat")]),
        ("FROM scratch\nMAINTAINER me", vec![(2, "MaintainerDeprecated")]),
        ("FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]", vec![(2, "MultipleInstructionsDisallowed")]),
        ("FROM scratch\nENV a=b \\\n\n c=d", vec![(3, "NoEmptyContinuation")]),
        ("FROM x AS scratch", vec![(1, "ReservedStageName")]),
        ("FROM scratch\nARG MY_TOKEN\nENV PUBLIC_KEY=x", vec![(2, "SecretsUsedInArgOrEnv")]),
        ("FROM scratch AS Base", vec![(1, "StageNameCasing")]),
        ("FROM $NOPE", vec![(1, "UndefinedArgInFrom")]),
        ("FROM scratch\nARG foo\nCOPY $fo /x", vec![(3, "UndefinedVar")]),
        ("FROM base\nCOPY $unknown /x", vec![]),
        ("FROM base\nWORKDIR x", vec![(2, "WorkdirRelativePath")]),
        ("FROM base AS a\nWORKDIR /x\nFROM a\nWORKDIR y", vec![]),
        ("FROM scratch\nENV A=${B:-x} C=$PATH D=$http_proxy", vec![]),
        ("ARG V=1\nFROM scratch\nARG V TARGETOS\nLABEL a=$V b=$TARGETOS", vec![]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn what_is_known_beyond_the_file_counts() {
    let ignored = Patterns::parse(b"secret\n*.md\n!README.md").unwrap();
    let environment = |reference: &str| (reference == "base").then(|| vec!["FROM_BASE=1".to_owned()]);
    let known = Known { environment: Some(&environment), ignored: Some(&ignored), ..Known::default() };
    let text = "FROM base\nCOPY secret README.md x.md /x/\nLABEL a=$FROM_BASE b=$FROMBASE";
    let warnings = with(text, &known);
    assert_eq!(
        warnings,
        [
            (
                2,
                "CopyIgnoredFile",
                "Attempting to Copy file \"secret\" that is excluded by .dockerignore".to_owned()
            ),
            (
                2,
                "CopyIgnoredFile",
                "Attempting to Copy file \"x.md\" that is excluded by .dockerignore".to_owned()
            ),
            (
                3,
                "UndefinedVar",
                "Usage of undefined variable '$FROMBASE' (did you mean $FROM_BASE?)".to_owned()
            ),
        ]
    );
}

#[test]
fn rules_are_skipped_and_asked_for() {
    let bad = "FROM scratch as a\nMAINTAINER me";
    assert_eq!(found(&format!("# check=skip=FromAsCasing\n{bad}")), [(3, "MaintainerDeprecated")]);
    assert!(found(&format!("# check=skip=all\n{bad}")).is_empty());
    let file = Dockerfile::parse(format!("# check=error=true\n{bad}").as_bytes()).unwrap();
    assert!(is_fatal(&file, &Known::default()));
    let described = "# something\nFROM scratch AS a";
    assert!(found(described).is_empty());
    assert_eq!(
        found(&format!("# check=experimental=all\n\n{described}")),
        [(4, "InvalidDefinitionDescription")]
    );
    assert!(found("# check=experimental=all\n\n# a is the first\nFROM scratch AS a").is_empty());
}

#[test]
fn rules_have_names_and_addresses() {
    assert!(Rule::all().count() == 22 && Rule::all().all(|rule| !rule.description().is_empty()));
    assert_eq!(
        Rule::JsonArgsRecommended.url(),
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    );
    assert_eq!(Rule::FromAsCasing.url(), "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
}
