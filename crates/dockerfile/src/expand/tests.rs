use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "X" => Some("value".into()),
        "EMPTY" => Some(String::new()),
        "SPACES" => Some("a  b".into()),
        "FILE" => Some("/usr/lib/foo.tar.gz".into()),
        _ => None,
    }
}

#[track_caller]
fn is(text: &str, expected: &str) {
    assert_eq!(word(text, '\\', &env).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, reason: &str) {
    assert_eq!(word(text, '\\', &env).unwrap_err().reason, reason, "{text}");
}

#[test]
fn variables_quotes_and_escapes() {
    is("a$X-b", "avalue-b");
    is("${X}y", "valuey");
    is("$Xy", "");
    is(r"\$X", "$X");
    is(r"\a\\", r"a\");
    is("'$X'", "$X");
    is("\"$X 'q'\"", "value 'q'");
    is(r#""\"\$\n""#, r#""$\n"#);
    is("$", "$");
    is("a$ b", "a$ b");
    is("$1x", "x");
    is("$$X", "X");
    is("end\\", "end");
    is("", "");
}

#[test]
fn modifiers() {
    is("${NONE:-d}|${EMPTY:-d}|${X:-d}", "d|d|value");
    is("${NONE-d}|${EMPTY-d}|${X-d}", "d||value");
    is("${NONE:+d}|${EMPTY:+d}|${X:+d}", "||d");
    is("${NONE+d}|${EMPTY+d}|${X+d}", "|d|d");
    is("${X:?no}${X?}", "valuevalue");
    is("${NONE:-${X:+$X$X}}", "valuevalue");
    is("${NONE:-\"a } b\"}", "a } b");
    is("${FILE#/*/}", "lib/foo.tar.gz");
    is("${FILE##*/}", "foo.tar.gz");
    is("${FILE%.*}", "/usr/lib/foo.tar");
    is("${FILE%%.*}", "/usr/lib/foo");
    is("${FILE/foo/bar}", "/usr/lib/bar.tar.gz");
    is(r"${FILE//\//_}", "_usr_lib_foo.tar.gz");
    is("${X//?/-}", "-----");
}

#[test]
fn what_is_wrong_is_said() {
    fails("${NONE:?}", "NONE: is not allowed to be unset");
    fails("${NONE?gone}", "NONE: gone");
    fails("${EMPTY:?}", "EMPTY: is not allowed to be empty");
    is("${EMPTY?}", "");
    fails("${X", "syntax error: missing '}'");
    fails("${X:", "syntax error: missing '}'");
    fails("${X:-a", "syntax error: missing '}'");
    fails("${", "syntax error: missing '}'");
    fails("${}", "syntax error: bad substitution");
    fails("${:x}", "syntax error: bad substitution");
    fails("${X^}", "unsupported modifier (^) in substitution");
    fails("${X:x}", "unsupported modifier (:x) in substitution");
    fails("${X/a}", "syntax error: missing '/' in ${}");
    fails("'a", "unexpected end of statement while looking for matching single-quote");
    fails("\"a", "unexpected end of statement while looking for matching double-quote");
    let error = word("${X", '\\', &env).unwrap_err();
    assert_eq!(error.to_string(), "failed to process \"${X\": syntax error: missing '}'");
    let deep = "${N:-".repeat(1000) + &"}".repeat(1000);
    assert!(word(&deep, '\\', &env).is_err());
}

#[test]
fn words_split_at_spaces_that_nothing_protects() {
    let split = |text: &str| words(text, '\\', &env).unwrap();
    assert_eq!(split(" a  b\tc "), ["a", "b", "c"]);
    assert_eq!(split("$SPACES"), ["a", "b"]);
    assert_eq!(split("\"$SPACES\" x"), ["a  b", "x"]);
    assert_eq!(split(r"a\ b 'c d'e"), ["a b", "c de"]);
    assert!(split("\"\" $NONE").is_empty());
}

#[test]
fn another_escape_character() {
    assert_eq!(word(r"c:\$X`$X", '`', &env).as_deref(), Ok(r"c:\value$X"));
}

#[test]
fn a_body_keeps_its_quotes() {
    assert_eq!(body("'$X' \"${NONE:-n}\" \\$X\n", &env).as_deref(), Ok("'value' \"n\" $X\n"));
}

#[test]
fn references_are_found() {
    assert_eq!(references("$a ${b} ${c:-$d} '$e' ${f#x} $a", '\\'), ["a", "b", "d", "f"]);
    assert_eq!(references("${c:-${g} $h", '\\'), ["g", "h"]);
}
