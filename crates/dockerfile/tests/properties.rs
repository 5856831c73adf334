//! Properties of the parser: it never panics, printing what it read reads the same, and places are in the file.

mod print;

use dockerfile::ignore::Patterns;
use dockerfile::lint::{self, Known};
use dockerfile::{Dockerfile, Instruction, expand, glob, trigger};
use print::print;
use proptest::prelude::*;

/// Lines from which files are put together: good ones, broken ones, and what joins them.
const LINES: &[&str] = &[
    "FROM base",
    "FROM base AS x",
    "FROM --platform=$P scratch as y",
    "ARG A=1 B C=\"x y\"",
    "ENV a=b c='d e' f=\\ g",
    "ENV old style",
    "LABEL x=\"a\\\"b\" y=$z",
    "RUN echo hi \\",
    "  && more",
    "# comment",
    "",
    "   ",
    "\\",
    "RUN <<EOF",
    "EOF",
    "\tEOF",
    "RUN cat <<-A 3<<'B' > x",
    "A",
    "B",
    "COPY <<EOF <<\"A\" /x",
    "COPY --from=x a b c/",
    "COPY [\"a b\", \"c\"]",
    "ADD --checksum=sha256:0 --unpack=true u /",
    "COPY --chown=1:2 --link --exclude=*.o a b",
    "CMD [\"a\", \"b\"]",
    "CMD a b",
    "CMD",
    "ENTRYPOINT []",
    "ONBUILD RUN <<EOF",
    "ONBUILD COPY a b",
    "WORKDIR /a b",
    "HEALTHCHECK --interval=5s --retries=2 CMD [\"x\"]",
    "HEALTHCHECK NONE",
    "EXPOSE 80 90-91/udp",
    "VOLUME [\"/v\"]",
    "VOLUME /a /b",
    "SHELL [\"sh\"]",
    "USER a",
    "STOPSIGNAL 9",
    "MAINTAINER m",
    "# escape=`",
    "# syntax=x",
    "RUN --mount=type=cache,target=/c --network=none x",
    "RUN --mount=type=$T,target=/c --security=insecure y",
    "é ü",
    "$",
    "\"",
    "'",
    "--",
    "RUN \"<<EOF\" '",
    "FOO",
    "\r",
    "COPY a",
    "RUN [\"a\"] b",
    "RUN x `",
];

fn file() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LINES), 0..24).prop_map(|lines| lines.join("\n"))
}

/// A file that is likely to be one.
fn good_file() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LINES), 0..5)
        .prop_map(|lines| format!("FROM base\n{}\n", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = Dockerfile::parse(&bytes) {
            prop_assert!(!error.report().is_empty());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = trigger(&text);
        let _ = expand::words(&text, '\\', &|name| Some(name.to_owned()));
        let _ = expand::body(&text, &|_| None);
        let _ = glob::matches(&text, "a/b");
        if let Ok(patterns) = Patterns::parse(&bytes) {
            let _ = (patterns.matches("a/b/c"), patterns.may_include_below("a"));
        }
    }

    #[test]
    fn what_is_printed_reads_the_same(text in good_file()) {
        let Ok(first) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        let printed = print(&first);
        let second = Dockerfile::parse(printed.as_bytes())
            .map_err(|error| TestCaseError::fail(format!("{}\n{text}\n---\n{printed}", error.report())))?;
        prop_assert_eq!(&first.args, &second.args, "{}", printed);
        prop_assert_eq!(first.stages.len(), second.stages.len(), "{}", printed);
        for (first, second) in first.stages.iter().zip(&second.stages) {
            for (a, b) in first.instructions.iter().zip(&second.instructions) {
                if let (Instruction::Onbuild(a), Instruction::Onbuild(b)) = (&a.node, &b.node) {
                    prop_assert_eq!(&a.instruction, &b.instruction, "{}", printed);
                } else {
                    prop_assert_eq!(&a.node, &b.node, "{}", printed);
                }
            }
            prop_assert_eq!((&first.name, &first.base, &first.platform), (&second.name, &second.base, &second.platform));
            prop_assert_eq!(first.instructions.len(), second.instructions.len(), "{}", printed);
        }
    }

    #[test]
    fn places_are_in_the_file_and_lint_never_panics(text in file()) {
        match Dockerfile::parse(text.as_bytes()) {
            Ok(file) => {
                for at in file.stages.iter().flat_map(|stage| {
                    [&stage.at].into_iter().chain(stage.instructions.iter().map(|one| &one.at))
                }) {
                    let written = &file.source[at.span.start..at.span.end];
                    let keyword = &file.source[at.keyword.span.start..at.keyword.span.end];
                    prop_assert_eq!(keyword, &at.keyword.text);
                    prop_assert_eq!(written.matches('\n').count(), at.last_line - at.first_line);
                }
                let _ = lint::check(&file, &Known::default());
            }
            Err(error) => prop_assert!(error.line <= text.lines().count().max(1), "{error:?}"),
        }
    }

    #[test]
    fn one_byte_changed_never_panics(text in good_file(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(file) = Dockerfile::parse(&bytes) {
            let _ = lint::check(&file, &Known::default());
        }
    }

    #[test]
    fn patterns_without_wildcards_match_themselves(path in "[a-z]{1,3}(/[a-z.]{0,2}[a-z]){0,3}") {
        prop_assert!(Patterns::new([&path]).unwrap().matches(&path));
        prop_assert!(Patterns::new(["**"]).unwrap().matches(&path));
        prop_assert_eq!(glob::matches(&path, &path), Ok(true));
        let excepted = format!("!{path}");
        prop_assert!(!Patterns::new(["**", &excepted]).unwrap().matches(&path));
        if let Some((above, _)) = path.rsplit_once('/') {
            prop_assert!(Patterns::new(["**", &excepted]).unwrap().may_include_below(above));
        }
    }
}
