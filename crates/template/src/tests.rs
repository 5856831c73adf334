use std::sync::Arc;

use super::*;

const SMALL: Bounds = Bounds { output: 16 << 10, given: 128 << 10, turns: 10_000, spaces: 1 << 12 };

fn filled(source: &str) -> Result<String, String> {
    let list = Value::List(["b", "a"].map(|text| Value::String(text.into())).into());
    let facts = [("Name".into(), Value::String("web x".into())), ("L".into(), list)].into_iter().collect();
    let template = Unparsed::new("t", SMALL).parse(source).map_err(|error| error.to_string())?;
    template.fill(&Value::Map(Arc::new(facts))).map_err(|error| error.to_string())
}

#[test]
fn dockers_functions_and_gos() {
    for (source, wanted) in [
        ("{{printf \"%s-%03d\" .Name 7}} {{print 1 2}} {{html \"<\"}}", "web x-007 1 2 &lt;"),
        ("{{join .L \", \"}}|{{upper .Name}}|{{title .Name}}|{{lower \"X\"}}", "b, a|WEB X|Web X|x"),
        ("{{index (split .Name \" \") 1}}{{pad .Name 1 2}}{{truncate .Name 2}}", "x web x  we"),
        ("{{len (split \"abc\" \"\")}}{{pad \"\" 9 9}}|", "3|"),
        ("{{json .}} {{json \"<\\n\"}}", r#"{"L":["b","a"],"Name":"web x"} "<\n""#),
        ("{{range 3}}x{{end}}", "xxx"),
    ] {
        assert_eq!(filled(source).unwrap(), wanted, "{source}");
    }
}

#[test]
fn what_a_template_takes_is_bounded() {
    let told = |source: &str| filled(source).unwrap_err();
    assert!(told("{{range 9000}}four{{end}}").contains("longer than 16384 bytes"));
    assert!(told("{{range 99999}}{{end}}").contains("range"));
    for double in ["print $a $a", "printf \"%s%s\" $a $a", "json (json $a)", "pad $a 4096 4096"] {
        let source = format!("{{{{$a := \"'\\\"'\"}}}}{}", format!("{{{{$a = {double}}}}}").repeat(99));
        let error = told(&source);
        assert!(error.contains("is given more than"), "{double}: {error}");
    }
}

#[test]
fn blocks_end_once() {
    assert!(filled("\n{{if .Name}}").unwrap_err().contains("2:1: unexpected EOF"));
    assert!(filled("{{end}}").unwrap_err().contains("unexpected {{end}}"));
    assert!(filled("{{.Nope}}").unwrap_err().contains("Nope"));
}
