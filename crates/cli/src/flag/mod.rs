//! Command-line flags with the syntax of Go's `pflag`, which `docker` uses: `-it`, `-p80:80`,
//! `--name=value`, `--rm=false`, and commands whose flags end at the first positional argument.

pub(crate) mod check;
pub(crate) mod help;
pub(crate) mod parse;

pub(crate) use parse::{Matches, parse};

/// Judges one value while the line is parsed; the error is the reason alone.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// One flag of one command.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    /// Long name, without dashes.
    pub(crate) name: &'static str,
    /// One-letter form.
    pub(crate) short: Option<char>,
    /// The word for the value in the help (`string`, `list`, `bytes`); empty for a switch.
    pub(crate) ty: &'static str,
    /// The value when the flag is absent.
    pub(crate) default: &'static str,
    /// The default as the help shows it; empty: not shown.
    pub(crate) shown: &'static str,
    /// One sentence for the help.
    pub(crate) usage: &'static str,
    /// Hidden from the help.
    pub(crate) hidden: bool,
    /// The value's judge.
    pub(crate) check: Check,
}

impl Flag {
    const fn new(name: &'static str, ty: &'static str, usage: &'static str, check: Check) -> Self {
        Self { name, short: None, ty, default: "", shown: "", usage, hidden: false, check }
    }

    /// A switch: `--name`, `--name=false`.
    pub(crate) const fn bool(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "", usage, check::boolean)
    }

    /// Any text.
    pub(crate) const fn string(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "string", usage, check::any)
    }

    /// Text that may be given several times.
    pub(crate) const fn list(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "list", usage, check::any)
    }

    /// A signed number.
    pub(crate) const fn int(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "int", usage, check::int)
    }

    /// An amount of memory such as `64m`.
    pub(crate) const fn bytes(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "bytes", usage, check::bytes)
    }

    /// A span of time such as `1m30s`.
    pub(crate) const fn duration(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "duration", usage, check::duration).shows("0s")
    }

    /// `-f, --filter key=value`, as all lists have it.
    pub(crate) const fn filter() -> Self {
        Self::new("filter", "filter", "Show only what meets these conditions", check::filter)
    }

    /// `--format`, for commands that print a table.
    pub(crate) const fn format() -> Self {
        Self::new("format", "string", FORMAT_TABLE, check::any)
    }

    /// `-f, --format`, for commands that print one object.
    pub(crate) const fn format_object() -> Self {
        Self::new("format", "string", FORMAT_OBJECT, check::any).short('f')
    }

    /// `--format` alone, for a stream of objects.
    pub(crate) const fn format_object_long() -> Self {
        Self::new("format", "string", FORMAT_OBJECT, check::any)
    }

    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Another word for the value.
    pub(crate) const fn ty(mut self, ty: &'static str) -> Self {
        self.ty = ty;
        self
    }

    /// A default that is also shown in the help.
    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = value;
        self.shown = value;
        self
    }

    /// Shows a default in the help without giving the flag a value.
    pub(crate) const fn shows(mut self, value: &'static str) -> Self {
        self.shown = value;
        self
    }

    pub(crate) const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Whether the flag takes no value of its own (`--rm`).
    pub(crate) fn is_switch(&self) -> bool {
        self.ty.is_empty()
    }

    /// `-m, --memory`, as error messages call the flag.
    pub(crate) fn label(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

const FORMAT_TABLE: &str = "How to print each entry:\n\
    'table':            A table with column headers (default)\n\
    'table TEMPLATE':   A table whose columns are this Go template\n\
    'json':             One JSON object a line\n\
    'TEMPLATE':         This Go template";

const FORMAT_OBJECT: &str = "How to print the result:\n\
    'json':             As JSON\n\
    'TEMPLATE':         This Go template";
