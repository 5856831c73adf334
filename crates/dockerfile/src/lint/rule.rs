//! The rules.

/// A rule, by the name that `# check=skip=` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Rule::description says what each is about")]
pub enum Rule {
    ConsistentInstructionCasing,
    CopyIgnoredFile,
    DuplicateStageName,
    ExposeInvalidFormat,
    ExposeProtoCasing,
    FromAsCasing,
    FromPlatformFlagConstDisallowed,
    InvalidBaseImagePlatform,
    InvalidDefaultArgInFrom,
    InvalidDefinitionDescription,
    JsonArgsRecommended,
    LegacyKeyValueFormat,
    MaintainerDeprecated,
    MultipleInstructionsDisallowed,
    NoEmptyContinuation,
    RedundantTargetPlatform,
    ReservedStageName,
    SecretsUsedInArgOrEnv,
    StageNameCasing,
    UndefinedArgInFrom,
    UndefinedVar,
    WorkdirRelativePath,
}

/// Each with its name and what it asks for.
const TEXTS: [(Rule, &str, &str); 22] = [
    (
        Rule::ConsistentInstructionCasing,
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    ),
    (Rule::CopyIgnoredFile, "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore"),
    (Rule::DuplicateStageName, "DuplicateStageName", "Stage names should be unique"),
    (
        Rule::ExposeInvalidFormat,
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become \
                 an error in a future release",
    ),
    (Rule::ExposeProtoCasing, "ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase"),
    (Rule::FromAsCasing, "FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword"),
    (
        Rule::FromPlatformFlagConstDisallowed,
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
    ),
    (
        Rule::InvalidBaseImagePlatform,
        "InvalidBaseImagePlatform",
        "Base image platform does not match expected target platform",
    ),
    (
        Rule::InvalidDefaultArgInFrom,
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
    ),
    (
        Rule::InvalidDefinitionDescription,
        "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> \
                 <description>`. If this is not intended to be a description comment, add an empty line or \
                 comment between the instruction and the comment.",
    ),
    (
        Rule::JsonArgsRecommended,
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS \
                 signals",
    ),
    (
        Rule::LegacyKeyValueFormat,
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
    ),
    (
        Rule::MaintainerDeprecated,
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    ),
    (
        Rule::MultipleInstructionsDisallowed,
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
    ),
    (
        Rule::NoEmptyContinuation,
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
    ),
    (
        Rule::RedundantTargetPlatform,
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default \
                 behavior",
    ),
    (Rule::ReservedStageName, "ReservedStageName", "Reserved words should not be used as stage names"),
    (
        Rule::SecretsUsedInArgOrEnv,
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
    ),
    (Rule::StageNameCasing, "StageNameCasing", "Stage names should be lowercase"),
    (Rule::UndefinedArgInFrom, "UndefinedArgInFrom", "FROM command must use declared ARGs"),
    (Rule::UndefinedVar, "UndefinedVar", "Variables should be defined before their use"),
    (
        Rule::WorkdirRelativePath,
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected \
                 results if the base image changes",
    ),
];

impl Rule {
    /// Every rule.
    pub fn all() -> impl Iterator<Item = Self> {
        TEXTS.iter().map(|(rule, ..)| *rule)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    /// What it asks for, in a sentence.
    pub fn description(self) -> &'static str {
        self.texts().1
    }

    /// Where Docker explains it.
    pub fn url(self) -> String {
        let path: String = self.name().chars().fold(String::new(), |mut path, character| {
            // `JSONArgsRecommended` is one word and then two
            let upper = character.is_ascii_uppercase();
            if upper && path.chars().last().is_some_and(|last| last.is_ascii_lowercase()) {
                path.push('-');
            }
            path.push(character);
            path
        });
        let path = path.replace("JSONArgs", "JSON-Args").to_ascii_lowercase();
        format!("https://docs.docker.com/go/dockerfile/rule/{path}/")
    }

    /// It is silent unless it is asked for (`# check=experimental=…`).
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::InvalidDefinitionDescription)
    }

    fn texts(self) -> (&'static str, &'static str) {
        TEXTS
            .iter()
            .find(|(rule, ..)| *rule == self)
            .map_or(("", ""), |(_, name, description)| (name, description))
    }
}
