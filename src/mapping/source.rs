//! Where a record came from: the app that wrote it and the device that measured it.

/// What the source says about itself; every field as written, None where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    /// Bundle identifier or package name.
    pub app: Option<String>,
    pub app_name: Option<String>,
    pub app_version: Option<String>,
    /// `major.minor.patch` of the phone's system.
    pub os_version: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub product_type: Option<String>,
    pub device_id: Option<String>,
    /// What the user calls the device: it may change at any time.
    pub device_name: Option<String>,
    /// `watch`, `phone`, `ring` ...; SDKs have changed their mind about it for one and the same device.
    pub device_type: Option<String>,
    pub hardware_version: Option<String>,
    pub software_version: Option<String>,
    /// `manual`, `automatic`, `active`, `unknown`.
    pub recording_method: Option<String>,
}

impl Source {
    /// App and device without versions, names and guesses: the same after an update of any of them.
    /// The parts are joined by U+001F, which no part contains (it is replaced by a space).
    pub fn key(&self) -> String {
        let app = self.app.as_deref().or(self.app_name.as_deref());
        join(&[app, self.manufacturer.as_deref(), self.model.as_deref(), self.product_type.as_deref(), self.device_id.as_deref()])
    }

    /// The device alone, in the same way; None when the source names none.
    pub fn device_key(&self) -> Option<String> {
        let parts = [self.manufacturer.as_deref(), self.model.as_deref(), self.product_type.as_deref(), self.device_id.as_deref()];
        parts.iter().any(Option::is_some).then(|| join(&parts))
    }
}

fn join(parts: &[Option<&str>]) -> String {
    parts.iter().map(|part| part.unwrap_or("").replace('\u{1f}', " ")).collect::<Vec<_>>().join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_does_not_change_the_key() {
        let before = Source {
            app: Some("com.example.ring".into()),
            model: Some("Ring 3".into()),
            app_version: Some("1.0".into()),
            software_version: Some("7".into()),
            device_name: Some("Ada's ring".into()),
            ..Source::default()
        };
        let after = Source { app_version: Some("1.1".into()), software_version: Some("8".into()), device_name: None, ..before.clone() };
        assert_eq!(before.key(), after.key());
        assert_eq!(before.device_key(), after.device_key());
        assert_eq!(Source::default().device_key(), None);
        let other = Source { device_id: Some("b".into()), ..before.clone() };
        assert_ne!(before.key(), other.key());
    }
}
