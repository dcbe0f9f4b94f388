//! The stack file: compose-spec YAML in, [`Stack`] out, and errors that show the line.
//!
//! [`fn@load`] does it all. Text becomes a tree (`yaml`, with anchors and merge keys
//! resolved), variables are filled in (`interpolate`), the tree becomes typed data
//! (`read`, which finds all problems before it gives up), and what only the whole file
//! shows is checked (`check`). A value remembers no position: [`NodePath`] names it, and
//! only an error looks the position up.

mod check;
mod config;
mod diagnostic;
mod dotenv;
mod environment;
mod interpolate;
mod limits;
mod load;
mod locate;
mod merge;
mod model;
mod name;
mod node;
mod order;
mod path;
mod read;
mod source;
#[cfg(test)]
mod tests;
pub(crate) mod value;
mod yaml;

pub(crate) use check::check_alone;
pub(crate) use config::{to_json, to_yaml};
pub(crate) use diagnostic::Diagnostic;
pub(crate) use dotenv::parse as env_file;
pub(crate) use interpolate::{Variables, text as interpolated};
pub(crate) use load::{LoadError, Request, find_file, load, parse};
pub(crate) use model::*;
pub(crate) use path::NodePath;
pub(crate) use source::Source;
pub(crate) use yaml::document as yaml_document;
