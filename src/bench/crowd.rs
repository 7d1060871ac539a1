//! The people of a run: users with Patients, their SDK tokens, and what of their data is loaded.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::failed;
use super::server::Home;
use crate::error::{Error, Kind, Result};

/// SDK tokens are good for an hour.
const TOKEN: Duration = Duration::from_secs(50 * 60);

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub id: String,
    pub patient: String,
}

/// What a kept folder remembers for the next run.
#[derive(Serialize, Deserialize)]
pub struct Seed {
    pub users: Vec<User>,
    /// Bodies that every user has.
    pub blocks: usize,
    /// Resources that `bench documents` has loaded.
    #[serde(default)]
    pub resources: usize,
    app_id: String,
    app_secret: String,
}

pub struct Crowd {
    pub seed: Seed,
    tokens: Vec<Mutex<Option<(String, Instant)>>>,
}

impl Crowd {
    /// The users of a kept folder, or new ones.
    pub fn gather(home: &Home, client: &mut Client, users: usize) -> Result<Crowd> {
        let kept = fs::read(home.folder.join("seed.json")).ok();
        let seed = match kept.map(|bytes| serde_json::from_slice::<Seed>(&bytes)) {
            Some(seed) => seed.map_err(|e| failed("seed.json", e))?,
            None => create(home, client, users)?,
        };
        if seed.users.len() != users {
            let says = format!(
                "the folder holds {} patients, not {users}; name another with --dir, or say --patients {}",
                seed.users.len(),
                seed.users.len()
            );
            return Err(Error::new(Kind::Usage, says));
        }
        let tokens = seed.users.iter().map(|_| Mutex::new(None)).collect();
        Ok(Crowd { seed, tokens })
    }

    /// Remembers the users and what is loaded.
    pub fn keep(&self, home: &Home) -> Result<()> {
        let text = serde_json::to_vec(&self.seed).map_err(|e| failed("seed.json", e))?;
        fs::write(home.folder.join("seed.json"), text).map_err(|e| failed("seed.json", e))
    }

    /// The SDK token of a user, issued with the app's credentials when there is none that is good.
    pub fn token(&self, client: &mut Client, user: usize) -> Result<String> {
        let mut kept = self.tokens[user].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, since)) = &*kept
            && since.elapsed() < TOKEN
        {
            return Ok(token.clone());
        }
        let body = serde_json::json!({"app_id": self.seed.app_id, "app_secret": self.seed.app_secret}).to_string();
        let answer = client.post(&format!("/api/v1/users/{}/token", self.seed.users[user].id), "", body.as_bytes())?.json(200)?;
        let token = answer["access_token"].as_str().unwrap_or_default().to_owned();
        *kept = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}

fn create(home: &Home, client: &mut Client, users: usize) -> Result<Seed> {
    let app = home.verb(&["app", "create", "--name", "bench"])?;
    let of = |name: &str| app.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let key = of("api_key");
    let mut made = Vec::with_capacity(users);
    for n in 0..users {
        let body = serde_json::json!({"first_name": "Bench", "last_name": format!("Number {n}")}).to_string();
        let answer = client.post("/api/v1/users", &key, body.as_bytes())?.json(201)?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        made.push(User { id: text("id"), patient: text("patient_id") });
    }
    Ok(Seed { users: made, blocks: 0, resources: 0, app_id: of("app_id"), app_secret: of("app_secret") })
}
