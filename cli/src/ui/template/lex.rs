//! A template's text to pieces: literal text, and actions as tokens.

use super::Fault;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// What is printed as it stands.
    Text(String),
    /// What stands between `{{` and `}}`.
    Action {
        /// Never empty.
        tokens: Vec<Token>,
        /// Where the action begins.
        at: usize,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offset in the template.
    pub(super) at: usize,
    /// No blank stands before it: `(f x).Name` is a field of the result, `f x .Name` is not.
    pub(super) glued: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` or `$name`, with the dollar sign.
    Variable(String),
    /// A function or a keyword.
    Word(String),
    Text(String),
    Number(serde_json::Number),
    Pipe,
    Declare,
    Assign,
    Comma,
    Open,
    Close,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

/// Cuts a template into pieces. Comments are dropped, `{{-` and `-}}` trim the text beside them.
pub(super) fn lex(source: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let rest = &source[at..];
        let open = rest.find(LEFT);
        let mut text = &rest[..open.unwrap_or(rest.len())];
        if trim_next {
            text = text.trim_start_matches(is_blank);
        }
        let Some(open) = open.map(|open| at + open) else {
            push_text(&mut pieces, text);
            return Ok(pieces);
        };
        let inside = &source[open + LEFT.len()..];
        let trim_left = inside
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(is_blank));
        if trim_left {
            text = text.trim_end_matches(is_blank);
        }
        push_text(&mut pieces, text);
        let mut lexer = Lexer {
            source,
            at: open + LEFT.len() + usize::from(trim_left),
        };
        let tokens = lexer.action(open)?;
        trim_next = lexer.skip_right();
        at = lexer.at;
        if let Some(tokens) = tokens {
            if tokens.is_empty() {
                return Err(Fault::new(open, "missing value for command"));
            }
            pieces.push(Piece::Action { tokens, at: open });
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Go's blanks.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    /// Whether the action ends here, be it with `}}` or ` -}}`.
    fn at_right(&self) -> bool {
        self.rest().starts_with(RIGHT) || self.at_trimming_right()
    }

    /// ` -}}`: the blank before the dash tells it from a number.
    fn at_trimming_right(&self) -> bool {
        self.rest().starts_with("-}}") && self.source[..self.at].ends_with(is_blank)
    }

    /// Skips the end of the action; whether it trims.
    fn skip_right(&mut self) -> bool {
        let trims = self.at_trimming_right();
        self.at += RIGHT.len() + usize::from(trims);
        trims
    }

    /// The tokens up to the end of the action that begins at `open`; none of a comment.
    fn action(&mut self, open: usize) -> Result<Option<Vec<Token>>, Fault> {
        let unclosed = || Fault::new(open, "unclosed action");
        let blanks = self.take_while(is_blank);
        if self.rest().starts_with("/*") {
            let end = self.rest().find("*/").ok_or_else(unclosed)?;
            self.at += end + 2;
            self.take_while(is_blank);
            return if self.at_right() {
                Ok(None)
            } else {
                Err(Fault::new(open, "comment ends before closing delimiter"))
            };
        }
        let mut tokens = Vec::new();
        let mut glued = blanks.is_empty();
        while !self.at_right() {
            let at = self.at;
            let Some(next) = self.rest().chars().next() else {
                return Err(unclosed());
            };
            let kind = self.token(next)?;
            tokens.push(Token { kind, at, glued });
            glued = self.take_while(is_blank).is_empty();
        }
        Ok(Some(tokens))
    }

    fn token(&mut self, next: char) -> Result<Kind, Fault> {
        let at = self.at;
        let second = self.rest()[next.len_utf8()..].chars().next();
        let digit_follows = second.is_some_and(|c| c.is_ascii_digit());
        let mut single = |kind| {
            self.at += 1;
            Ok(kind)
        };
        match next {
            '|' => single(Kind::Pipe),
            ',' => single(Kind::Comma),
            '(' => single(Kind::Open),
            ')' => single(Kind::Close),
            '=' => single(Kind::Assign),
            ':' if second == Some('=') => {
                self.at += 2;
                Ok(Kind::Declare)
            }
            '"' => self.quoted(),
            '`' => {
                let body = &self.source[at + 1..];
                let end = body
                    .find('`')
                    .ok_or_else(|| Fault::new(at, "unterminated raw quoted string"))?;
                self.at = at + end + 2;
                Ok(Kind::Text(body[..end].to_owned()))
            }
            '\'' => self.character(),
            '$' => {
                self.at += 1;
                Ok(Kind::Variable(format!("${}", self.take_while(is_name))))
            }
            '.' if !digit_follows => {
                self.at += 1;
                let name = self.take_while(is_name);
                Ok(if name.is_empty() {
                    Kind::Dot
                } else {
                    Kind::Field(name)
                })
            }
            _ if next.is_ascii_digit() || (matches!(next, '+' | '-' | '.') && digit_follows) => {
                self.number()
            }
            _ if is_name(next) => Ok(Kind::Word(self.take_while(is_name))),
            _ => Err(Fault::new(at, format!("unexpected {next:?} in an action"))),
        }
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let at = self.at;
        let sign = self.take_while(|c| matches!(c, '+' | '-'));
        let digits = self.take_while(|c| c == '.' || is_name(c));
        let bad = || Fault::new(at, format!("bad number: {sign}{digits}"));
        let plain = digits.replace('_', "");
        let integer = match plain.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(&plain[2..], 16).ok(),
            Some("0o" | "0O") => i64::from_str_radix(&plain[2..], 8).ok(),
            Some("0b" | "0B") => i64::from_str_radix(&plain[2..], 2).ok(),
            _ => plain.parse().ok(),
        };
        let negative = match sign.as_str() {
            "" | "+" => false,
            "-" => true,
            _ => return Err(bad()),
        };
        let number = if let Some(integer) = integer {
            serde_json::Number::from(if negative { -integer } else { integer })
        } else {
            let float: f64 = plain.parse().map_err(|_| bad())?;
            serde_json::Number::from_f64(if negative { -float } else { float }).ok_or_else(bad)?
        };
        Ok(Kind::Number(number))
    }

    /// A string with Go's escapes.
    fn quoted(&mut self) -> Result<Kind, Fault> {
        let at = self.at;
        let unterminated = || Fault::new(at, "unterminated quoted string");
        let mut text = String::new();
        self.at += 1;
        loop {
            let c = self.rest().chars().next().ok_or_else(unterminated)?;
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(Kind::Text(text));
                }
                '\n' => return Err(unterminated()),
                _ => text.push(self.one_character(c)?),
            }
        }
    }

    /// `'a'` is a number in Go.
    fn character(&mut self) -> Result<Kind, Fault> {
        let at = self.at;
        let malformed = || Fault::new(at, "malformed character constant");
        self.at += 1;
        let first = self.rest().chars().next().ok_or_else(malformed)?;
        let c = self.one_character(first)?;
        if !self.rest().starts_with('\'') {
            return Err(malformed());
        }
        self.at += 1;
        Ok(Kind::Number(u32::from(c).into()))
    }

    /// The next character of a literal, which begins with `c`.
    fn one_character(&mut self, c: char) -> Result<char, Fault> {
        let at = self.at;
        self.at += c.len_utf8();
        if c != '\\' {
            return Ok(c);
        }
        let unknown = || Fault::new(at, "unknown escape sequence");
        let escape = self.rest().chars().next().ok_or_else(unknown)?;
        self.at += escape.len_utf8();
        Ok(match escape {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' | '"' | '\'' => escape,
            'x' => self.code_point(2).ok_or_else(unknown)?,
            'u' => self.code_point(4).ok_or_else(unknown)?,
            'U' => self.code_point(8).ok_or_else(unknown)?,
            _ => return Err(unknown()),
        })
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits)?;
        let code = u32::from_str_radix(text, 16).ok()?;
        self.at += digits;
        char::from_u32(code)
    }
}
