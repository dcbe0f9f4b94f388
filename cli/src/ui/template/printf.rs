//! Go's `printf`.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use super::functions::{integer, plain};

/// Go has a limit too. No column is wider.
const MAX_WIDTH: usize = 1000;

/// What stands between the percent sign and the verb.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats the arguments. What does not fit is told in the text, as Go does it.
pub(super) fn sprintf(format: &str, arguments: &[&Value]) -> String {
    let mut shown = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            shown.push(c);
            continue;
        }
        let mut star = || arguments.next().and_then(|value| value.as_u64());
        let spec = Spec::read(&mut chars, &mut star);
        match chars.next() {
            None => shown.push_str("%!(NOVERB)"),
            Some('%') => shown.push('%'),
            Some(verb) => match arguments.next() {
                Some(value) => shown.push_str(&spec.apply(verb, value)),
                // Writing to a string cannot fail.
                None => _ = write!(shown, "%!{verb}(MISSING)"),
            },
        }
    }
    let extra: Vec<_> = arguments.map(|value| plain(value)).collect();
    if !extra.is_empty() {
        _ = write!(shown, "%!(EXTRA {})", extra.join(", "));
    }
    shown
}

impl Spec {
    fn read(chars: &mut Peekable<Chars<'_>>, star: &mut impl FnMut() -> Option<u64>) -> Self {
        let mut spec = Self::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '#' => spec.alternate = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        spec.width = number(chars, star);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(chars, star).unwrap_or(0));
        }
        spec
    }

    fn apply(&self, verb: char, value: &Value) -> String {
        let shown = match (verb, value) {
            ('v', Value::Number(_)) => self.signed(&plain(value)),
            ('v', _) => plain(value),
            ('s', Value::Number(_) | Value::Bool(_)) => return mismatch(verb, value),
            ('s', _) => self.cut(&plain(value)),
            ('q', Value::String(text)) => format!("{:?}", self.cut(text)),
            ('t', Value::Bool(truth)) => truth.to_string(),
            ('x' | 'X', Value::String(text)) => {
                let hex = text.bytes().fold(String::new(), |mut hex, byte| {
                    _ = write!(hex, "{byte:02x}");
                    hex
                });
                upper_if(verb == 'X', hex)
            }
            ('d' | 'b' | 'o' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Number(number)) => {
                match integer(number) {
                    Some(integer) => self.integer(verb, integer),
                    None => return mismatch(verb, value),
                }
            }
            ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Number(number)) => {
                let Some(float) = number
                    .as_f64()
                    .filter(|_| !number.is_i64() && !number.is_u64())
                else {
                    return mismatch(verb, value);
                };
                self.float(verb, float)
            }
            _ => return mismatch(verb, value),
        };
        self.pad(
            &shown,
            value.is_number() && !matches!(verb, 'c' | 'q' | 'U'),
        )
    }

    fn integer(&self, verb: char, value: i128) -> String {
        let sign = if value < 0 { "-" } else { "" };
        let size = value.unsigned_abs();
        let digits = match verb {
            'b' => format!("{size:b}"),
            'o' => format!("{size:o}"),
            'x' | 'X' => {
                let prefix = if self.alternate { "0x" } else { "" };
                upper_if(verb == 'X', format!("{prefix}{size:x}"))
            }
            'c' | 'q' => {
                let c = u32::try_from(value).ok().and_then(char::from_u32);
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                return if verb == 'c' {
                    c.to_string()
                } else {
                    format!("{c:?}")
                };
            }
            'U' => return format!("U+{size:04X}"),
            _ => size.to_string(),
        };
        self.signed(&format!("{sign}{digits}"))
    }

    fn float(&self, verb: char, value: f64) -> String {
        let shown = match (verb, self.precision) {
            ('f' | 'F', precision) => format!("{value:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => exponent(&format!("{value:.*e}", precision.unwrap_or(6))),
            (_, _) => value.to_string(),
        };
        self.signed(&upper_if(verb == 'E', shown))
    }

    fn signed(&self, shown: &str) -> String {
        match (shown.starts_with('-'), self.plus, self.space) {
            (false, true, _) => format!("+{shown}"),
            (false, false, true) => format!(" {shown}"),
            _ => shown.to_owned(),
        }
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.to_owned(),
        }
    }

    fn pad(&self, shown: &str, is_number: bool) -> String {
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(shown.chars().count());
        if self.left {
            format!("{shown}{}", " ".repeat(missing))
        } else if self.zero && is_number {
            let digits = shown.trim_start_matches(['+', '-']);
            let sign = &shown[..shown.len() - digits.len()];
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{shown}", " ".repeat(missing))
        }
    }
}

/// Digits, or the next argument.
fn number(
    chars: &mut Peekable<Chars<'_>>,
    star: &mut impl FnMut() -> Option<u64>,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let number = usize::try_from(star()?).unwrap_or(MAX_WIDTH);
        return Some(number.min(MAX_WIDTH));
    }
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let value = number.unwrap_or(0_usize) * 10 + digit as usize;
        number = Some(value.min(MAX_WIDTH));
    }
    number
}

/// Go's has a sign and two digits: `1e+03`.
fn exponent(shown: &str) -> String {
    let Some((mantissa, exponent)) = shown.split_once('e') else {
        return shown.to_owned();
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn upper_if(condition: bool, text: String) -> String {
    if condition { text.to_uppercase() } else { text }
}

/// Go's: `%!d(string=text)`.
fn mismatch(verb: char, value: &Value) -> String {
    let kind = match value {
        Value::Null => return format!("%!{verb}(<nil>)"),
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    format!("%!{verb}({kind}={})", plain(value))
}
