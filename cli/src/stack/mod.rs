//! The stack file: compose-spec YAML in, [`Stack`] out, and errors that show the line.
//!
//! Text becomes a tree ([`yaml`], anchors and merge keys resolved), variables are
//! filled in ([`interpolate`]), the tree becomes typed data ([`read`], which finds all
//! problems before it gives up), and what only the whole file shows is checked
//! ([`check`]). A value remembers no position: [`NodePath`] names it, and only an
//! error looks the position up.

mod diagnostic;
mod locate;
mod model;
mod node;
mod path;
mod source;
pub(crate) mod value;

pub(crate) use diagnostic::{Diagnostic, Place, Report};
pub(crate) use model::*;
pub(crate) use node::Node;
pub(crate) use path::{NodePath, Segment};
pub(crate) use source::{Location, Source};
