//! The three people of the demo. They are invented.

/// Whose SDK a person's phone runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    Apple,
    HealthConnect,
}

/// A person, and what is usual for them; tenths where a value has a decimal.
pub struct Person {
    /// Their record number at the clinic.
    pub external_id: &'static str,
    pub first: &'static str,
    pub last: &'static str,
    pub email: &'static str,
    pub phone: Phone,
    /// One line for the page.
    pub says: &'static str,
    pub zone: &'static str,
    pub zone_minutes: i64,
    /// Beats a minute at each hour of the local day.
    pub beats: [i64; 24],
    pub resting: i64,
    pub variability_tenths: i64,
    pub oxygen_tenths: i64,
    pub breaths_tenths: i64,
    pub pressure: (i64, i64),
    pub weight_tenths: i64,
    /// Steps at each hour of the local day.
    pub steps: [i64; 24],
}

pub const PEOPLE: [Person; 3] = [
    Person {
        external_id: "demo-1",
        first: "Ines",
        last: "Marlow",
        email: "ines@example.org",
        phone: Phone::Apple,
        says: "Runs before work",
        zone: "+01:00",
        zone_minutes: 60,
        beats: [52, 50, 49, 49, 50, 54, 88, 131, 84, 72, 70, 74, 80, 76, 71, 70, 73, 82, 92, 85, 76, 70, 64, 57],
        resting: 52,
        variability_tenths: 584,
        oxygen_tenths: 972,
        breaths_tenths: 138,
        pressure: (116, 74),
        weight_tenths: 613,
        steps: [0, 0, 0, 0, 0, 40, 900, 6120, 1240, 310, 280, 460, 1120, 640, 290, 330, 480, 1460, 980, 520, 340, 180, 60, 0],
    },
    Person {
        external_id: "demo-2",
        first: "Tobias",
        last: "Renn",
        email: "tobias@example.org",
        phone: Phone::Apple,
        says: "Watches his blood pressure",
        zone: "+01:00",
        zone_minutes: 60,
        beats: [70, 68, 67, 66, 65, 67, 71, 78, 86, 88, 84, 82, 90, 94, 88, 84, 86, 92, 98, 90, 84, 80, 74, 70],
        resting: 65,
        variability_tenths: 287,
        oxygen_tenths: 954,
        breaths_tenths: 161,
        pressure: (147, 92),
        weight_tenths: 942,
        steps: [0, 0, 0, 0, 0, 0, 120, 640, 820, 210, 190, 240, 760, 540, 180, 220, 260, 910, 640, 280, 190, 110, 40, 0],
    },
    Person {
        external_id: "demo-3",
        first: "Asha",
        last: "Verel",
        email: "asha@example.org",
        phone: Phone::HealthConnect,
        says: "Wears a ring, works late",
        zone: "+05:30",
        zone_minutes: 330,
        beats: [68, 62, 58, 57, 56, 56, 57, 60, 66, 76, 74, 72, 78, 84, 80, 76, 74, 78, 96, 124, 102, 86, 80, 74],
        resting: 57,
        variability_tenths: 463,
        oxygen_tenths: 968,
        breaths_tenths: 147,
        pressure: (108, 69),
        weight_tenths: 557,
        steps: [60, 0, 0, 0, 0, 0, 0, 80, 420, 680, 310, 260, 540, 880, 330, 290, 340, 620, 2200, 3900, 860, 420, 260, 140],
    },
];
