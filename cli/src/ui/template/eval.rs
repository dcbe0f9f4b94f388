//! The tree and a value to text.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Fault;
use super::functions::{self, display, is_true};
use super::parse::{Branch, Command, Node, Operand, Pipeline, What};

/// A value of the data, or one that a function made.
type Val<'a> = Cow<'a, Value>;

/// Gives the heading of a field.
pub(crate) type Headings<'a> = &'a dyn Fn(&str) -> String;

/// What `{{.Label "key"}}` asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Labels<'a> {
    None,
    Of(&'a Map<String, Value>),
}

/// More than this is no output for a terminal but a mistake, such as a list times itself.
const MAX_OUTPUT: usize = 64 << 20;

/// One run of a template.
pub(super) struct Machine<'a> {
    data: &'a Value,
    labels: Labels<'a>,
    /// When headings are asked for and not a row.
    headings: Option<Headings<'a>>,
    variables: Vec<(String, Val<'a>)>,
    output: String,
}

/// What a block did with the loop around it.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl<'a> Machine<'a> {
    pub(super) fn new(data: &'a Value, labels: Labels<'a>) -> Self {
        Self {
            data,
            labels,
            headings: None,
            variables: vec![("$".into(), Cow::Borrowed(data))],
            output: String::new(),
        }
    }

    pub(super) fn with_headings(mut self, headings: Headings<'a>) -> Self {
        self.headings = Some(headings);
        self
    }

    pub(super) fn run(mut self, nodes: &[Node]) -> Result<String, Fault> {
        let data = Cow::Borrowed(self.data);
        self.block(nodes, &data)?;
        Ok(self.output)
    }

    /// Prints the nodes; variables that they declare are forgotten.
    fn block(&mut self, nodes: &[Node], dot: &Val<'a>) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let flow = self.nodes(nodes, dot);
        self.variables.truncate(scope);
        flow
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Val<'a>) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.output.push_str(text);
                    Flow::On
                }
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.output.push_str(&display(&value));
                    }
                    if self.output.len() > MAX_OUTPUT {
                        let at = pipeline.commands.first().map_or(0, |first| first.first.at);
                        return Err(Fault::new(at, "the output is too long"));
                    }
                    Flow::On
                }
                Node::If(branch) => self.branch(branch, dot, |_| dot.clone())?,
                Node::With(branch) => self.branch(branch, dot, Clone::clone)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// `if` and `with`, which differ in the dot of their first block.
    fn branch(
        &mut self,
        branch: &Branch,
        dot: &Val<'a>,
        inner_dot: impl FnOnce(&Val<'a>) -> Val<'a>,
    ) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if is_true(&value) {
            let inner = inner_dot(&value);
            self.block(&branch.then, &inner)
        } else {
            self.block(&branch.otherwise, dot)
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Val<'a>) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let value = self.pipeline_value(&branch.pipeline, dot)?;
        let at = branch.pipeline.commands.first().map_or(0, |c| c.first.at);
        let items = self.items(value, at)?;
        if items.is_empty() {
            let flow = self.block(&branch.otherwise, dot);
            self.variables.truncate(scope);
            return flow;
        }
        let names = &branch.pipeline.variables;
        for (key, item) in items {
            match names.as_slice() {
                [name] => self.set(name, item.clone(), branch.pipeline.assigns),
                [first, second] => {
                    self.set(first, Cow::Owned(key), branch.pipeline.assigns);
                    self.set(second, item.clone(), branch.pipeline.assigns);
                }
                _ => {}
            }
            let flow = self.block(&branch.then, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// What a range goes through: index or key, and the element. Maps by their sorted keys.
    fn items(&self, value: Val<'a>, at: usize) -> Result<Vec<(Value, Val<'a>)>, Fault> {
        let sorted = |mut items: Vec<(Value, Val<'a>)>| {
            items.sort_by(|a, b| a.0.as_str().cmp(&b.0.as_str()));
            items
        };
        Ok(match value {
            Cow::Borrowed(Value::Array(list)) => {
                let items = list.iter().map(Cow::Borrowed);
                items.enumerate().map(|(i, v)| (i.into(), v)).collect()
            }
            Cow::Owned(Value::Array(list)) => {
                let items = list.into_iter().map(Cow::Owned);
                items.enumerate().map(|(i, v)| (i.into(), v)).collect()
            }
            Cow::Borrowed(Value::Object(map)) => sorted(
                map.iter()
                    .map(|(k, v)| (Value::from(k.as_str()), Cow::Borrowed(v)))
                    .collect(),
            ),
            Cow::Owned(Value::Object(map)) => sorted(
                map.into_iter()
                    .map(|(k, v)| (Value::from(k), Cow::Owned(v)))
                    .collect(),
            ),
            Cow::Borrowed(Value::Null) | Cow::Owned(Value::Null) => Vec::new(),
            // A heading stands for all elements.
            other if self.headings.is_some() => vec![(0.into(), other)],
            other => {
                let shown = functions::type_name(&other);
                return Err(Fault::new(at, format!("range can't iterate over {shown}")));
            }
        })
    }

    fn set(&mut self, name: &str, value: Val<'a>, assigns: bool) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match known {
            Some(variable) if assigns => variable.1 = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    /// The value of a pipeline, kept in its variable when it has one.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let value = self.pipeline_value(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.assigns);
        }
        Ok(value)
    }

    fn pipeline_value(&mut self, pipeline: &Pipeline, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Cow::Owned(Value::Null)))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Val<'a>,
        piped: Option<Val<'a>>,
    ) -> Result<Val<'a>, Fault> {
        let Operand { what, path, at } = &command.first;
        if let (What::Function(name), true) = (what, path.is_empty()) {
            return self.call(name, command, dot, piped);
        }
        let has_arguments = !command.arguments.is_empty() || piped.is_some();
        if !has_arguments {
            return self.operand(&command.first, dot);
        }
        let mut arguments = Vec::new();
        for argument in &command.arguments {
            arguments.push(self.operand(argument, dot)?);
        }
        arguments.extend(piped);
        match (path.last().map(String::as_str), arguments.as_slice()) {
            (Some("Label"), [key]) => self.label(key, *at).map(Cow::Owned),
            (name, _) => {
                let shown = name.map_or("value".into(), |name| format!(".{name}"));
                Err(Fault::new(
                    *at,
                    format!("{shown} is no function and takes no argument"),
                ))
            }
        }
    }

    fn call(
        &mut self,
        name: &str,
        command: &Command,
        dot: &Val<'a>,
        piped: Option<Val<'a>>,
    ) -> Result<Val<'a>, Fault> {
        let at = command.first.at;
        let operands = command.arguments.iter();
        // What decides is the value; what comes after it is not looked at.
        if let "and" | "or" = name {
            let mut last = None;
            for operand in operands {
                let value = self.operand(operand, dot)?;
                if is_true(&value) == (name == "or") {
                    return Ok(value);
                }
                last = Some(value);
            }
            return piped
                .or(last)
                .ok_or_else(|| Fault::new(at, format!("{name}: needs an argument")));
        }
        let mut arguments = Vec::new();
        for operand in operands {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        if self.headings.is_some() && functions::keeps_headings(name) {
            return Ok(arguments
                .into_iter()
                .next()
                .unwrap_or(Cow::Owned(Value::Null)));
        }
        let arguments: Vec<&Value> = arguments.iter().map(AsRef::as_ref).collect();
        functions::call(name, &arguments)
            .map(Cow::Owned)
            .map_err(|message| Fault::new(at, format!("{name}: {message}")))
    }

    fn operand(&mut self, operand: &Operand, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let Operand { what, path, at } = operand;
        let start = match what {
            What::Dot => dot.clone(),
            What::Literal(value) => Cow::Owned(value.clone()),
            What::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let undefined = || Fault::new(*at, format!("undefined variable {name:?}"));
                known.ok_or_else(undefined)?.1.clone()
            }
            What::Function(name) => {
                let command = Command {
                    first: Operand {
                        path: Vec::new(),
                        ..operand.clone()
                    },
                    arguments: Vec::new(),
                };
                self.call(name, &command, dot, None)?
            }
            What::Pipeline(pipeline) => {
                let scope = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                self.variables.truncate(scope);
                value
            }
        };
        if let (Some(heading), Some(last)) = (self.headings, path.last()) {
            return Ok(Cow::Owned(heading(last).into()));
        }
        path.iter()
            .try_fold(start, |value, name| field(value, name, *at))
    }

    fn label(&self, key: &Value, at: usize) -> Result<Value, Fault> {
        let Value::String(key) = key else {
            return Err(Fault::new(at, ".Label: the name of a label is text"));
        };
        if self.headings.is_some() {
            // Docker's: the last part of the name.
            let last = key.rsplit('.').next().unwrap_or(key);
            return Ok(last.replace(['-', '_'], " ").into());
        }
        match self.labels {
            Labels::Of(labels) => Ok(labels.get(key).cloned().unwrap_or_else(|| "".into())),
            Labels::None => Err(Fault::new(
                at,
                ".Label is known in lists only\n  help: write {{index .Config.Labels \"...\"}}",
            )),
        }
    }
}

fn field<'a>(value: Val<'a>, name: &str, at: usize) -> Result<Val<'a>, Fault> {
    let missing = |value: &Value| match value {
        Value::Object(map) if is_struct(map) => Err(Fault::new(at, unknown_field(map, name))),
        Value::Object(_) => Ok(Cow::Owned(Value::Null)),
        Value::Null => Err(Fault::new(
            at,
            format!("nothing is there to have a field {name:?}"),
        )),
        other => {
            let shown = functions::type_name(other);
            Err(Fault::new(at, format!("{shown} has no field {name:?}")))
        }
    };
    match value {
        Cow::Borrowed(Value::Object(map)) if map.contains_key(name) => {
            Ok(Cow::Borrowed(&map[name]))
        }
        Cow::Owned(Value::Object(mut map)) if map.contains_key(name) => {
            Ok(Cow::Owned(map.remove(name).unwrap_or_default()))
        }
        other => missing(&other),
    }
}

/// Docker's structs have capitals; labels, networks and ports have other keys.
fn is_struct(map: &Map<String, Value>) -> bool {
    !map.is_empty()
        && map
            .keys()
            .all(|key| key.starts_with(|c: char| c.is_uppercase()))
}

fn unknown_field(map: &Map<String, Value>, name: &str) -> String {
    let mut keys: Vec<_> = map.keys().map(String::as_str).collect();
    keys.sort_unstable();
    format!("no field {name:?}\n  help: there are {}", keys.join(", "))
}
