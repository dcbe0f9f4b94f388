//! `services.*.logging`.

use super::super::model::Logging;
use super::scalar::Labels;
use super::{At, Fields, Problems, Read};

impl Read for Logging {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping", out)?;
        let driver = fields.parse("driver", "a string", out);
        let Labels(options) = fields.or_default("options", out);
        fields.finish(&[], out);
        let options = options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        match Self::new(driver, options) {
            Ok(logging) => Some(logging),
            Err((key, error)) => {
                out.error(&path.key("options").key(key), &error.why, Some(error.form));
                None
            }
        }
    }
}
