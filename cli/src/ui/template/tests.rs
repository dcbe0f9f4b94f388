use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn data() -> Value {
    json!({
        "Name": "/web",
        "State": {"Status": "running", "Running": true, "ExitCode": 0, "Health": null},
        "Config": {
            "Labels": {"b": "2", "a": "1"},
            "Env": ["A=1", "B=2"],
            "Cmd": [],
        },
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null},
        "Share": 12.5,
    })
}

fn render(template: &str) -> String {
    Template::parse(template)
        .and_then(|template| template.render(&data()))
        .unwrap_or_else(|error| error.to_string())
}

#[test]
fn templates_of_every_day() {
    for (template, text) in [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Status }}!", "running!"),
        ("{{json .State.Running}}", "true"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "a=1;b=2;",
        ),
        (
            "{{range $i, $e := .Config.Env}}{{$i}}{{$e}} {{end}}",
            "0A=1 1B=2 ",
        ),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        (
            "{{if eq .State.Status \"exited\"}}a{{else if .State.Running}}b{{else}}c{{end}}",
            "b",
        ),
        (
            "{{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}}",
            "-",
        ),
        ("{{with .State}}{{.Status}}{{$.Name}}{{end}}", "running/web"),
        ("{{with .State.Health}}x{{else}}none{{end}}", "none"),
        ("{{index .Config.Labels \"a\"}}", "1"),
        ("{{index .Config.Labels \"none\"}}", ""),
        ("{{.Config.Labels.none}}", "<no value>"),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        (
            "{{index .Ports \"80/tcp\" 0 | json}}",
            r#"{"HostIp":"0.0.0.0","HostPort":"8080"}"#,
        ),
        (
            "{{range $p, $conf := .Ports}} {{$p}} -> {{(index $conf 0).HostPort}}{{break}}{{end}}",
            " 80/tcp -> 8080",
        ),
        ("{{len .Config.Env}}", "2"),
        ("{{slice .Name 1}}", "web"),
        ("{{slice .Name 1 3}}", "we"),
        ("{{.Name | upper | printf \"%6s|\"}}", "  /WEB|"),
        (
            "{{printf \"%-6s|%3d|%q\" .Name 5 \"x\"}}",
            "/web  |  5|\"x\"",
        ),
        ("{{join .Config.Env \", \"}}", "A=1, B=2"),
        ("{{split \"a,b\" \",\"}}", "[a b]"),
        (
            "{{title \"hello there\"}} {{lower \"ABC\"}}",
            "Hello There abc",
        ),
        ("{{pad .Name 1 2}}|{{truncate .Name 2}}", " /web  |/w"),
        (
            "{{and .State.Running .Name}} {{or .State.ExitCode .Name}}",
            "/web /web",
        ),
        ("{{and .State.Health .State.Health.Status}}", "<no value>"),
        (
            "{{not .State.Running}} {{ne 1 2}} {{lt 1 2}} {{ge \"b\" \"a\"}}",
            "false true true true",
        ),
        ("{{eq .State.ExitCode 1 0}}", "true"),
        ("{{$x := .Name}}{{$x}}{{$x = \"y\"}}{{$x}}", "/weby"),
        ("a {{- .Name -}} b", "a/webb"),
        ("{{/* a comment */}}x{{- /* trims */ -}} y", "xy"),
        (
            "{{.Config.Labels}} {{.Config.Env}}",
            "map[a:1 b:2] [A=1 B=2]",
        ),
        ("{{print 1 2 \"a\" \"b\"}}", "1 2ab"),
        ("{{`raw \\n`}}{{\"tab\\t\"}}{{'a'}}", "raw \\ntab\t97"),
        (
            "{{.Share}} {{printf \"%.2f\" .Share}} {{0x10}} {{-3}}",
            "12.5 12.50 16 -3",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}",
            "B=2",
        ),
        ("{{.Name}}\\n", "/web\\n"),
        ("{{true}} {{nil | json}}", "true null"),
    ] {
        assert_eq!(render(template), text, "{template}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut shown = String::new();
    for template in [
        "{{.Name",
        "x\n  {{.Nme}}",
        "{{.State.Status.More}}",
        "{{.State.Health.Status}}",
        "{{nonsense .Name}}",
        "{{$x}}",
        "{{if .Name}}x",
        "{{end}}",
        "{{else}}",
        "{{}}",
        "{{if}}x{{end}}",
        "{{.Name | }}",
        "{{(.Name}}",
        "{{.Name)}}",
        "{{\"open}}",
        "{{\"\\z\"}}",
        "{{break}}",
        "{{define \"x\"}}{{end}}",
        "{{.Name 1}}",
        "{{1 | 2}}",
        "{{len 5}}",
        "{{len}}",
        "{{eq .Name 1}}",
        "{{index .Config.Env 2}}",
        "{{index .Config.Env \"a\"}}",
        "{{range .Name}}{{end}}",
        "{{.Label \"x\"}}",
        "{{pad .Name 100000 1}}",
        "{{ % }}",
        "{{1x}}",
        "{{range $a, $b = .Ports}}{{end}}",
    ] {
        shown.extend([template, "\n    ", &render(template), "\n"]);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn printf_is_gos() {
    for (template, text) in [
        (
            "{{printf \"%5d|%-5d|%05d|%+d|%x|%X|%#x\" 42 42 42 42 255 255 255}}",
            "   42|42   |00042|+42|ff|FF|0xff",
        ),
        ("{{printf \"%s %v %v\" \"a\" 1 true}}", "a 1 true"),
        (
            "{{printf \"%.3s|%8.3f|%e\" \"abcdef\" 3.14159 1234.5}}",
            "abc|   3.142|1.234500e+03",
        ),
        ("{{printf \"%d %s\" \"x\" 5}}", "%!d(string=x) %!s(int=5)"),
        ("{{printf \"%d\"}}", "%!d(MISSING)"),
        ("{{printf \"x\" 1}}", "x%!(EXTRA 1)"),
        ("{{printf \"100%%\"}}", "100%"),
        ("{{printf \"%\"}}", "%!(NOVERB)"),
        ("{{printf \"%*d\" 4 7}}", "   7"),
        ("{{printf \"%x %c %t\" \"hi\" 65 false}}", "6869 A false"),
    ] {
        assert_eq!(render(template), text, "{template}");
    }
}

#[test]
fn rows_know_labels_and_escapes() {
    let labels: Map<String, Value> = [("com.x.tier".to_owned(), json!("front,end"))]
        .into_iter()
        .collect();
    let template =
        Template::parse_row("{{.Names}}\\t{{.Label \"com.x.tier\"}}\\n{{\"\\t\"}}").unwrap();
    let row = json!({"Names": "web"});
    assert_eq!(
        template.render_row(&row, &labels).unwrap(),
        "web\tfront,end\n\t"
    );
}

#[test]
fn headings_stand_for_fields_whatever_is_done_with_them() {
    let heading = |key: &str| key.to_uppercase();
    let shown = |text: &str| {
        Template::parse_row(text)
            .unwrap()
            .render_headings(&heading)
            .unwrap()
    };
    assert_eq!(
        shown("{{.Names}}\\t{{.Label \"com.x.my-tier\"}}\\t{{json .Ports}}\\t{{lower .Image}}"),
        "NAMES\tmy tier\tPORTS\tIMAGE"
    );
    assert_eq!(
        shown("{{range .Mounts}}{{.}}{{end}}{{if .Size}}{{.Size}}{{end}}"),
        "MOUNTSSIZE"
    );
}

#[test]
fn nesting_has_a_limit_and_is_no_crash() {
    for template in [
        format!(
            "{}1{}",
            "{{(".to_owned() + &"(".repeat(10_000),
            ")".repeat(10_001) + "}}"
        ),
        "{{if 1}}".repeat(10_000),
        "{{if 1}}{{else if 1}}".to_owned() + &"{{else if 1}}".repeat(10_000),
        "{{range .}}".repeat(10_000) + &"{{end}}".repeat(10_000),
    ] {
        Template::parse(&template).unwrap_err();
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zé\\n\\t]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[A-Ca-c]{1,2}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Pieces of templates in any order: mostly wrong, often nearly right.
fn any_template() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        ".",
        ".A",
        ".b",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        "|",
        "(",
        ")",
        "if ",
        "else ",
        "end",
        "range ",
        "with ",
        "break",
        "continue",
        "index ",
        "len ",
        "slice ",
        "printf ",
        "\"%5.2v%d%q\" ",
        "json ",
        "pad ",
        "truncate ",
        "join ",
        "split ",
        "title ",
        "eq ",
        "lt ",
        "and ",
        "or ",
        "not ",
        "print ",
        "1 ",
        "-7 ",
        "2.5 ",
        "0x",
        "\"a\" ",
        "`b` ",
        "'c' ",
        "\"\\",
        "text",
        "é",
        "\n",
        "/*",
        "*/",
        "{{.}}",
        "{{end}}",
        "{{range .}}",
        "{{if .A}}",
        "{{with .b}}",
        "{{else}}",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_template_and_no_value_is_too_strange(template in any_template(), value in any_json()) {
        if let Ok(template) = Template::parse_row(&template) {
            let _ = template.render(&value);
            let _ = template.render_row(&value, &Map::new());
            let _ = template.render_headings(&|key| key.to_owned());
        }
    }

    #[test]
    fn no_text_is_too_strange(template in "\\PC{0,40}", inside in "[ -~é]{0,40}") {
        for template in [template, format!("{{{{{inside}}}}}")] {
            if let Ok(template) = Template::parse(&template) {
                let _ = template.render(&data());
            }
        }
    }

    #[test]
    fn functions_take_any_arguments(values in proptest::collection::vec(any_json(), 0..4)) {
        let arguments: Vec<_> = values.iter().collect();
        for name in ["not", "len", "index", "slice", "eq", "ne", "lt", "print", "println",
            "printf", "json", "split", "join", "title", "pad", "truncate", "upper"] {
            let _ = functions::call(name, &arguments);
        }
    }

    #[test]
    fn text_without_braces_is_itself(text in "[^{}]{0,60}") {
        let template = Template::parse(&text).unwrap();
        prop_assert_eq!(template.render(&Value::Null).unwrap(), text);
    }
}
