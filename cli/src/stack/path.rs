//! Where in a stack file a value stands, by name.

use std::fmt;

/// One step of a [`NodePath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// Into a mapping, by key.
    Key(String),
    /// Into a list, counted from zero.
    Index(usize),
}

/// A path into the stack file, such as `services.web.ports[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodePath(Vec<Segment>);

impl NodePath {
    /// The file as a whole.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// `services.NAME`.
    pub(crate) fn service(name: &str) -> Self {
        Self::root().key("services").key(name)
    }

    /// This path, then the value of `key`.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.to_owned()))
    }

    /// This path, then the list's element `index`.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    /// The steps, outermost first.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn then(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl NodePath {
    /// What a message about this place starts with: `web: ` inside a service,
    /// `volume data: ` inside a volume, nothing elsewhere.
    pub(crate) fn subject(&self) -> String {
        match self.0.as_slice() {
            [Segment::Key(top), Segment::Key(name), ..] if top == "services" => format!("{name}: "),
            [Segment::Key(top), Segment::Key(name), ..] if top == "volumes" => {
                format!("volume {name}: ")
            }
            _ => String::new(),
        }
    }

    /// Whether it is that of a service as a whole.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self.0.as_slice(), [Segment::Key(top), Segment::Key(_)] if top == "services")
    }

    /// The path within its [`NodePath::subject`]: `healthcheck.test[0]`.
    pub(crate) fn within(&self) -> String {
        let inner = if self.subject().is_empty() {
            &self.0[..]
        } else {
            &self.0[2..]
        };
        Self(inner.to_vec()).to_string()
    }
}
