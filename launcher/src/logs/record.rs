//! One line of a log file.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::store::time;

/// Where a container wrote. A terminal's output counts as standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// A line that a container wrote, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// When it was read from the container.
    #[serde(deserialize_with = "time::deserialize")]
    pub time: SystemTime,
    /// Where it was written.
    pub stream: Stream,
    /// The text, up to and with its `\n`. Without one, more of the same line follows in the
    /// next record of the stream, or the container ended there.
    pub log: String,
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    stream: Stream,
    log: Cow<'a, str>,
}

impl Record {
    /// Appends one line of the file. What is no UTF-8 becomes U+FFFD, as Docker does it.
    pub(super) fn encode(out: &mut Vec<u8>, time: &str, stream: Stream, text: &[u8]) {
        let line = Line {
            time,
            stream,
            log: String::from_utf8_lossy(text),
        };
        let start = out.len();
        if let Err(error) = serde_json::to_writer(&mut *out, &line) {
            // Strings into memory: there is no case known in which this fails.
            log::error!("a line of a container's log cannot be written as JSON: {error}");
            out.truncate(start);
            return;
        }
        out.push(b'\n');
    }

    /// Reads one line of a file, with or without its `\n`; `None` for garbage.
    ///
    /// A line that was torn off and has a whole one behind it, or bytes that a power cut left
    /// before it, gives the whole one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().or_else(|| {
            let start = line
                .windows(2)
                .rposition(|pair| pair == b"{\"")
                .filter(|&at| at > 0)?;
            serde_json::from_slice(&line[start..]).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Record::encode(
            &mut out,
            "2024-05-01T12:00:00.000000001Z",
            Stream::Stderr,
            text,
        );
        out
    }

    #[test]
    fn the_shape_is_dockers() {
        assert_eq!(
            String::from_utf8(encoded(b"a \"b\"\n")).unwrap(),
            "{\"time\":\"2024-05-01T12:00:00.000000001Z\",\"stream\":\"stderr\",\
             \"log\":\"a \\\"b\\\"\\n\"}\n"
        );
        let dockers = br#"{"log":"x\n","stream":"stdout","time":"2024-05-01T12:00:00.12Z","attrs":{"a":"b"}}"#;
        assert_eq!(Record::parse(dockers).unwrap().log, "x\n");
    }

    #[test]
    fn a_whole_record_behind_a_torn_one_is_found() {
        let whole = encoded(b"whole\n");
        let torn = [&encoded(b"torn\n")[..30], &whole].concat();
        assert_eq!(Record::parse(&torn).unwrap().log, "whole\n");
        let zeros = [&[0_u8; 500][..], &whole].concat();
        assert_eq!(Record::parse(&zeros).unwrap().log, "whole\n");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_docker_would_show_it(text in any::<Vec<u8>>()) {
            let line = encoded(&text);
            prop_assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
            prop_assert_eq!(Record::parse(&line).unwrap().log, String::from_utf8_lossy(&text));
        }

        #[test]
        fn no_garbage_makes_the_parser_panic(line in any::<Vec<u8>>(), cut in 0_usize..80) {
            let _ = Record::parse(&line);
            let good = encoded(b"x\n");
            let _ = Record::parse(&good[..cut.min(good.len())]);
        }
    }
}
