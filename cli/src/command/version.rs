//! `coop version`.

use anyhow::Result;
use serde_json::json;

use crate::args::{Format, VersionArgs};
use crate::ui;

/// `coop version`: a line, or Docker's document, in which this binary is both sides.
pub(super) fn version(args: &VersionArgs) -> Result<i32> {
    let version = env!("CARGO_PKG_VERSION");
    let shown = match &args.format {
        Format::Table => format!("coop version {version}\n"),
        format => {
            let kernel = rustix::system::uname();
            let side = json!({
                "Platform": {"Name": "Coop"},
                "Version": version,
                "Os": std::env::consts::OS,
                "Arch": architecture(),
                "KernelVersion": kernel.release().to_string_lossy(),
            });
            ui::document(format, &json!({"Client": side, "Server": side}))?
        }
    };
    ui::print(&shown)?;
    Ok(0)
}

/// The architecture in the words of Go and OCI.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
