//! Go's functions, and Docker's.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::printf::sprintf;

const NAMES: [&str; 23] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// No cell of a list is as wide.
const MAX_PADDING: u64 = 1000;

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether the function leaves a heading as it is: Docker's formatting functions.
pub(super) fn keeps_headings(name: &str) -> bool {
    matches!(
        name,
        "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate" | "index" | "slice"
    )
}

/// Go's truth: nothing, zero and empty are false.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// As Go's `%v`, but for nothing at all, which is said so.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        other => plain(other),
    }
}

/// As Go's `%v`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut items: Vec<_> = map.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            let items: Vec<_> = items
                .iter()
                .map(|(key, value)| format!("{key}:{}", plain(value)))
                .collect();
            format!("map[{}]", items.join(" "))
        }
    }
}

/// For messages.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Calls a function that [`is_known`], other than `and` and `or`, which need not look at all
/// of their arguments.
pub(super) fn call(name: &str, arguments: &[&Value]) -> Result<Value, String> {
    match (name, arguments) {
        ("not", [value]) => Ok((!is_true(value)).into()),
        ("len", [value]) => length(value).map(Value::from),
        ("index", [value, keys @ ..]) => keys
            .iter()
            .try_fold((*value).clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Ok(true.into());
                }
            }
            Ok(false.into())
        }
        ("ne", [first, second]) => Ok((!equal(first, second)?).into()),
        ("lt", [first, second]) => Ok(order(first, second)?.is_lt().into()),
        ("le", [first, second]) => Ok(order(first, second)?.is_le().into()),
        ("gt", [first, second]) => Ok(order(first, second)?.is_gt().into()),
        ("ge", [first, second]) => Ok(order(first, second)?.is_ge().into()),
        ("print", values) => Ok(print(values).into()),
        ("println", values) => {
            let texts: Vec<_> = values.iter().map(|value| plain(value)).collect();
            Ok((texts.join(" ") + "\n").into())
        }
        ("printf", [format, values @ ..]) => Ok(sprintf(text(format)?, values).into()),
        ("json", [value]) => serde_json::to_string(value)
            .map(Value::from)
            .map_err(|error| error.to_string()),
        ("split", [value, separator]) => Ok(split(text(value)?, text(separator)?)),
        ("join", [list, separator]) => join(list, text(separator)?).map(Value::from),
        ("title", [value]) => Ok(title(text(value)?).into()),
        ("lower", [value]) => Ok(text(value)?.to_lowercase().into()),
        ("upper", [value]) => Ok(text(value)?.to_uppercase().into()),
        ("pad", [value, before, after]) => pad(text(value)?, before, after).map(Value::from),
        ("truncate", [value, length]) => {
            let length = usize::try_from(count(length)?).unwrap_or(usize::MAX);
            Ok(text(value)?.chars().take(length).collect::<String>().into())
        }
        (_, arguments) => Err(format!("wrong number of arguments: {}", arguments.len())),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::String(text) => Ok(text),
        // What is not there has no text.
        Value::Null => Ok(""),
        other => Err(format!("expected text, not {}", type_name(other))),
    }
}

fn count(value: &Value) -> Result<u64, String> {
    value
        .as_u64()
        .ok_or_else(|| format!("expected a whole number, not {}", plain(value)))
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(list) => Ok(list.len()),
        Value::Object(map) => Ok(map.len()),
        other => Err(format!("{} has no length", type_name(other))),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(map), Value::String(key)) => {
            Ok(map.get(key).cloned().unwrap_or_else(|| absent(map)))
        }
        (Value::Array(list), Value::Number(number)) => {
            let found = number
                .as_u64()
                .and_then(|index| list.get(usize::try_from(index).ok()?));
            let length = list.len();
            found
                .cloned()
                .ok_or_else(|| format!("index out of range: {number} of {length}"))
        }
        (Value::Object(_), other) => Err(format!("a map has no key that is {}", type_name(other))),
        (Value::Array(_), other) => {
            Err(format!("a list has no index that is {}", type_name(other)))
        }
        (other, _) => Err(format!("can't index {}", type_name(other))),
    }
}

/// What a map has for a key that it does not have: Go's zero value, empty text in labels.
fn absent(map: &Map<String, Value>) -> Value {
    if map.values().all(Value::is_string) {
        "".into()
    } else {
        Value::Null
    }
}

fn slice(value: &Value, bounds: &[&Value]) -> Result<Value, String> {
    let length = length(value)?;
    let bound = |index: usize, default: usize| match bounds.get(index) {
        Some(bound) => Ok::<_, String>(usize::try_from(count(bound)?).unwrap_or(usize::MAX)),
        None => Ok(default),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    let out_of_range = || format!("slice out of range: {from}:{to} of {length}");
    match value {
        Value::String(text) => text.get(from..to).map(Value::from),
        Value::Array(list) => list.get(from..to).map(|part| part.to_vec().into()),
        other => return Err(format!("can't slice {}", type_name(other))),
    }
    .ok_or_else(out_of_range)
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        _ => Ok(order(first, second)?.is_eq()),
    }
}

fn order(first: &Value, second: &Value) -> Result<Ordering, String> {
    match (first, second) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => Ok(order_of_numbers(a, b)),
        _ => Err(format!(
            "incompatible types for comparison: {} and {}",
            type_name(first),
            type_name(second)
        )),
    }
}

fn order_of_numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return a.cmp(&b);
    }
    let float = |number: &Number| number.as_f64().unwrap_or(0.0);
    float(a).total_cmp(&float(b))
}

/// A number without a fraction.
pub(super) fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// As Go's `Sprint`: a blank between two operands of which none is text.
fn print(values: &[&Value]) -> String {
    let mut shown = String::new();
    for (index, value) in values.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| values.get(before));
        if before.is_some_and(|before| !before.is_string() && !value.is_string()) {
            shown.push(' ');
        }
        shown.push_str(&plain(value));
    }
    shown
}

/// As Go's: by an empty separator into characters.
fn split(text: &str, separator: &str) -> Value {
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).collect()
}

fn join(list: &Value, separator: &str) -> Result<String, String> {
    match list {
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(plain).collect();
            Ok(items.join(separator))
        }
        Value::Null => Ok(String::new()),
        other => Err(format!("expected a list, not {}", type_name(other))),
    }
}

/// The first letter of each word as a capital.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut shown = String::new();
    for c in text.chars() {
        if inside {
            shown.push(c);
        } else {
            shown.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    shown
}

/// Blanks before and after; none around nothing.
fn pad(text: &str, before: &Value, after: &Value) -> Result<String, String> {
    let blanks = |number: &Value| match count(number)? {
        number if number <= MAX_PADDING => Ok(" ".repeat(number as usize)),
        number => Err(format!("{number} blanks are too many")),
    };
    let (before, after) = (blanks(before)?, blanks(after)?);
    Ok(if text.is_empty() {
        String::new()
    } else {
        before + text + &after
    })
}
