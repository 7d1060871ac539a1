//! The mapping files compiled into the binary. A test compares the list with the folder.

macro_rules! shipped {
    ($($file:literal)*) => {
        /// Path below the package, and text.
        pub const SHIPPED: &[(&str, &str)] = &[$((concat!("mappings/", $file), include_str!(concat!("../../mappings/", $file)))),*];
    };
}

shipped! {
    "apple/blood-pressure.yaml"
    "apple/body-weight.yaml"
    "apple/heart-rate.yaml"
    "apple/hrv-sdnn.yaml"
    "apple/oxygen-saturation.yaml"
    "apple/respiratory-rate.yaml"
    "apple/resting-heart-rate.yaml"
    "apple/sleep-stage.yaml"
    "apple/steps.yaml"
    "apple/types.yaml"
    "health-connect/blood-pressure.yaml"
    "health-connect/body-weight.yaml"
    "health-connect/heart-rate.yaml"
    "health-connect/hrv-rmssd.yaml"
    "health-connect/oxygen-saturation.yaml"
    "health-connect/respiratory-rate.yaml"
    "health-connect/resting-heart-rate.yaml"
    "health-connect/sleep-stage.yaml"
    "health-connect/steps.yaml"
    "health-connect/types.yaml"
}
