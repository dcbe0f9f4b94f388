//! Pieces to a tree.

use serde_json::{Number, Value};

use super::lex::{Kind, Piece, Token, lex};
use super::{Fault, MAX_DEPTH, functions};

/// A part of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Its value is printed, unless it is kept in a variable.
    Print(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
}

/// A condition and what depends on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    /// Two only in `range $key, $value := ...`.
    pub(super) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(super) assigns: bool,
    /// Never empty.
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function or method with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) what: What,
    /// Fields of it: `.State.Status` are two fields of the dot.
    pub(super) path: Vec<String>,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Dot,
    Literal(Value),
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
}

/// Parses a whole template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, Fault> {
    let mut parser = Parser {
        pieces: lex(source)?.into_iter().peekable(),
        variables: vec!["$".into()],
        end: source.len(),
        loops: 0,
    };
    let (nodes, stop) = parser.block(0)?;
    match stop {
        Stop::EndOfText => Ok(nodes),
        Stop::End(at) => Err(Fault::new(at, "unexpected {{end}}")),
        Stop::Else(at, _) => Err(Fault::new(at, "unexpected {{else}}")),
    }
}

/// Makes tab and end of line of `\t` and `\n` in the literal text.
pub(super) fn expand_escapes(nodes: &mut [Node]) {
    for node in nodes {
        match node {
            Node::Text(text) => *text = text.replace("\\t", "\t").replace("\\n", "\n"),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                expand_escapes(&mut branch.then);
                expand_escapes(&mut branch.otherwise);
            }
            Node::Print(_) | Node::Break | Node::Continue => {}
        }
    }
}

/// What ended a block.
enum Stop {
    EndOfText,
    End(usize),
    /// With what stands behind the `else`.
    Else(usize, Tokens),
}

struct Parser {
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece>>,
    /// Those that may be used here, `$` first.
    variables: Vec<String>,
    end: usize,
    loops: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn of(word: &str) -> Option<Self> {
        match word {
            "if" => Some(Self::If),
            "with" => Some(Self::With),
            "range" => Some(Self::Range),
            _ => None,
        }
    }
}

impl Parser {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, Stop), Fault> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action { tokens, at } => (tokens, at),
            };
            if depth > MAX_DEPTH {
                return Err(Fault::new(at, "blocks are nested too deeply"));
            }
            let mut tokens = Tokens::new(tokens);
            let Some(word) = tokens.word().map(str::to_owned) else {
                nodes.push(Node::Print(self.whole_pipeline(&mut tokens, at, None)?));
                continue;
            };
            if let Some(control) = Control::of(&word) {
                tokens.next();
                nodes.push(self.control(control, &mut tokens, at, depth)?);
                continue;
            }
            match word.as_str() {
                "end" => {
                    tokens.next();
                    tokens.finish("end")?;
                    return Ok((nodes, Stop::End(at)));
                }
                "else" => {
                    tokens.next();
                    return Ok((nodes, Stop::Else(at, tokens)));
                }
                "break" | "continue" => {
                    tokens.next();
                    tokens.finish(&word)?;
                    if self.loops == 0 {
                        return Err(Fault::new(
                            at,
                            format!("{{{{{word}}}}} outside {{{{range}}}}"),
                        ));
                    }
                    nodes.push(if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                "define" | "block" | "template" => {
                    return Err(Fault::new(at, format!("{{{{{word}}}}} is not supported")));
                }
                _ => nodes.push(Node::Print(self.whole_pipeline(&mut tokens, at, None)?)),
            }
        }
        Ok((nodes, Stop::EndOfText))
    }

    /// From behind `if`, `with` or `range` to its `end`.
    fn control(
        &mut self,
        control: Control,
        tokens: &mut Tokens,
        at: usize,
        depth: usize,
    ) -> Result<Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(at, "blocks are nested too deeply"));
        }
        let outer = self.variables.len();
        let pipeline = self.whole_pipeline(tokens, at, Some(control))?;
        let inner = self.variables.len();
        let is_loop = usize::from(control == Control::Range);
        self.loops += is_loop;
        let (then, stop) = self.block(depth + 1)?;
        self.loops -= is_loop;
        self.variables.truncate(inner);
        let otherwise = match stop {
            Stop::EndOfText => return Err(self.unexpected_end()),
            Stop::End(_) => Vec::new(),
            Stop::Else(else_at, mut rest) => match rest.word().and_then(Control::of) {
                None => {
                    rest.finish("else")?;
                    match self.block(depth + 1)? {
                        (otherwise, Stop::End(_)) => otherwise,
                        (_, Stop::Else(again, _)) => {
                            return Err(Fault::new(again, "unexpected {{else}}"));
                        }
                        (_, Stop::EndOfText) => return Err(self.unexpected_end()),
                    }
                }
                // `{{else if}}` shares the `end` of the whole.
                Some(next) if next == control && control != Control::Range => {
                    rest.next();
                    vec![self.control(next, &mut rest, else_at, depth + 1)?]
                }
                Some(_) => return Err(rest.unexpected("{{else}}")),
            },
        };
        self.variables.truncate(outer);
        let branch = Branch {
            pipeline,
            then,
            otherwise,
        };
        Ok(match control {
            Control::If => Node::If(branch),
            Control::With => Node::With(branch),
            Control::Range => Node::Range(branch),
        })
    }

    fn unexpected_end(&self) -> Fault {
        Fault::new(
            self.end,
            "unexpected end of the template: {{end}} is missing",
        )
    }

    fn whole_pipeline(
        &mut self,
        tokens: &mut Tokens,
        at: usize,
        control: Option<Control>,
    ) -> Result<Pipeline, Fault> {
        let pipeline = self.pipeline(tokens, at, 0, control == Some(Control::Range))?;
        match tokens.peek() {
            None => Ok(pipeline),
            Some(_) => Err(tokens.unexpected("the action")),
        }
    }

    fn pipeline(
        &mut self,
        tokens: &mut Tokens,
        at: usize,
        depth: usize,
        of_range: bool,
    ) -> Result<Pipeline, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(at, "parentheses are nested too deeply"));
        }
        let (variables, assigns) = tokens.declaration(of_range);
        let mut commands = Vec::new();
        loop {
            commands.push(self.command(tokens, at, depth)?);
            match tokens.peek() {
                Some(Kind::Pipe) => {
                    tokens.next();
                }
                _ => break,
            }
        }
        for variable in &variables {
            if assigns {
                self.check_variable(variable, at)?;
            } else {
                self.variables.push(variable.clone());
            }
        }
        Ok(Pipeline {
            variables,
            assigns,
            commands,
        })
    }

    fn command(&mut self, tokens: &mut Tokens, at: usize, depth: usize) -> Result<Command, Fault> {
        let Some(first) = self.operand(tokens, depth)? else {
            return Err(match tokens.peek() {
                None => Fault::new(at, "missing value for command"),
                Some(_) => tokens.unexpected("a command"),
            });
        };
        let mut arguments = Vec::new();
        while let Some(operand) = self.operand(tokens, depth)? {
            arguments.push(operand);
        }
        Ok(Command { first, arguments })
    }

    fn operand(&mut self, tokens: &mut Tokens, depth: usize) -> Result<Option<Operand>, Fault> {
        let at = tokens.position();
        let mut path = Vec::new();
        let what = match tokens.peek() {
            Some(Kind::Dot) => What::Dot,
            Some(Kind::Field(name)) => {
                path.push(name.clone());
                What::Dot
            }
            Some(Kind::Variable(name)) => {
                self.check_variable(name, at)?;
                What::Variable(name.clone())
            }
            Some(Kind::Text(text)) => What::Literal(text.clone().into()),
            Some(Kind::Number(number)) => What::Literal(literal(number)),
            Some(Kind::Word(word)) => match word.as_str() {
                "true" => What::Literal(true.into()),
                "false" => What::Literal(false.into()),
                "nil" => What::Literal(Value::Null),
                _ if functions::is_known(word) => What::Function(word.clone()),
                _ => return Err(Fault::new(at, format!("function {word:?} not defined"))),
            },
            Some(Kind::Open) => {
                tokens.next();
                let scope = self.variables.len();
                let inner = self.pipeline(tokens, at, depth + 1, false)?;
                self.variables.truncate(scope);
                match tokens.peek() {
                    Some(Kind::Close) => What::Pipeline(Box::new(inner)),
                    Some(_) => return Err(tokens.unexpected("parentheses")),
                    None => return Err(Fault::new(at, "unclosed left paren")),
                }
            }
            _ => return Ok(None),
        };
        tokens.next();
        while let Some(name) = tokens.glued_field() {
            path.push(name);
        }
        Ok(Some(Operand { what, path, at }))
    }

    fn check_variable(&self, name: &str, at: usize) -> Result<(), Fault> {
        if self.variables.iter().any(|known| known == name) {
            Ok(())
        } else {
            Err(Fault::new(at, format!("undefined variable {name:?}")))
        }
    }
}

fn literal(number: &Number) -> Value {
    Value::Number(number.clone())
}

/// The tokens of one action.
struct Tokens {
    tokens: Vec<Token>,
    next: usize,
}

impl Tokens {
    fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, next: 0 }
    }

    fn peek(&self) -> Option<&Kind> {
        self.kind(0)
    }

    fn kind(&self, ahead: usize) -> Option<&Kind> {
        self.tokens.get(self.next + ahead).map(|token| &token.kind)
    }

    fn next(&mut self) {
        self.next += 1;
    }

    fn position(&self) -> usize {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(0, |token| token.at)
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The next field when it belongs to what stands before it.
    fn glued_field(&mut self) -> Option<String> {
        let token = self.tokens.get(self.next)?;
        match &token.kind {
            Kind::Field(name) if token.glued => {
                self.next += 1;
                Some(name.clone())
            }
            _ => None,
        }
    }

    /// `$x :=`, `$x =`, and before the list of a range `$k, $v :=`.
    fn declaration(&mut self, of_range: bool) -> (Vec<String>, bool) {
        let Some(Kind::Variable(first)) = self.kind(0).cloned() else {
            return (Vec::new(), false);
        };
        match (self.kind(1), self.kind(2), self.kind(3)) {
            (Some(sign @ (Kind::Declare | Kind::Assign)), _, _) => {
                let assigns = *sign == Kind::Assign;
                self.next += 2;
                (vec![first], assigns)
            }
            (
                Some(Kind::Comma),
                Some(Kind::Variable(second)),
                Some(sign @ (Kind::Declare | Kind::Assign)),
            ) if of_range => {
                let (second, assigns) = (second.clone(), *sign == Kind::Assign);
                self.next += 4;
                (vec![first, second], assigns)
            }
            _ => (Vec::new(), false),
        }
    }

    fn finish(&self, word: &str) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected(&format!("{{{{{word}}}}}"))),
        }
    }

    fn unexpected(&self, place: &str) -> Fault {
        let shown = match self.peek() {
            None => "end".into(),
            Some(Kind::Dot) => "\".\"".into(),
            Some(Kind::Field(name)) => format!("\".{name}\""),
            Some(Kind::Variable(name) | Kind::Word(name)) => format!("\"{name}\""),
            Some(Kind::Text(text)) => format!("{text:?}"),
            Some(Kind::Number(number)) => number.to_string(),
            Some(Kind::Pipe) => "\"|\"".into(),
            Some(Kind::Declare) => "\":=\"".into(),
            Some(Kind::Assign) => "\"=\"".into(),
            Some(Kind::Comma) => "\",\"".into(),
            Some(Kind::Open) => "\"(\"".into(),
            Some(Kind::Close) => "\")\"".into(),
        };
        Fault::new(self.position(), format!("unexpected {shown} in {place}"))
    }
}
