//! Uploads over HTTP: every client posts bodies and asks for their outcome until they are completed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bodies::{Body, RECORDS};
use super::client::Client;
use super::crowd::Crowd;
use super::load::Lap;
use super::server::Server;
use crate::error::{Error, Kind, Result};

/// Uploads a client may have under way: enough that the server always has one, few enough to end soon.
const UNDER_WAY: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);
const LATEST: Duration = Duration::from_secs(300);

/// Which bodies, and for how long.
pub struct Plan {
    pub clients: usize,
    /// The first body of each user that is not there yet.
    pub from: usize,
    /// At most so many bodies of each user.
    pub most: usize,
    pub until: Option<Instant>,
}

#[derive(Default)]
pub struct Loaded {
    /// Bodies that were accepted, with the time until their 202.
    pub accepted: Lap,
    /// Source records of completed uploads.
    pub stored: u64,
    /// Bodies completed of each user, in the order of the crowd.
    pub bodies: Vec<usize>,
    /// From the first body to the last completed outcome.
    pub took: Duration,
}

struct Pending {
    path: String,
    token: String,
    user: usize,
}

/// Runs a plan to its end, the outcome of every accepted body included.
pub fn run(server: &Server, crowd: &Crowd, plan: &Plan) -> Result<Loaded> {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let parts: Vec<Result<Loaded>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..plan.clients).map(|_| scope.spawn(|| one_client(server, crowd, plan, &next))).collect();
        clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(Error::bug("a client panicked")))).collect()
    });
    let mut all = Loaded { bodies: vec![0; crowd.seed.users.len()], ..Loaded::default() };
    for part in parts {
        let part = part?;
        all.accepted.add(part.accepted);
        all.stored += part.stored;
        all.bodies.iter_mut().zip(part.bodies).for_each(|(sum, n)| *sum += n);
    }
    all.took = began.elapsed();
    all.accepted.wall = all.took;
    Ok(all)
}

fn one_client(server: &Server, crowd: &Crowd, plan: &Plan, next: &AtomicUsize) -> Result<Loaded> {
    let mut client = Client::connect(server.address)?;
    let (mut body, mut under_way) = (Body::new(), VecDeque::new());
    let users = crowd.seed.users.len();
    let mut done = Loaded { bodies: vec![0; users], ..Loaded::default() };
    let began = Instant::now();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= users * plan.most || plan.until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let (user, block) = (n % users, plan.from + n / users);
        let token = crowd.token(&mut client, user)?;
        let text = body.fill(user, block);
        let sync = format!("/api/v1/sdk/users/{}/sync", crowd.seed.users[user].id);
        let sent = Instant::now();
        let answer = client.post(&sync, &token, text)?.json(202)?;
        done.accepted.count(sent.elapsed(), text.len());
        let path = format!("/api/v1/sdk/users/{}/uploads/{}", crowd.seed.users[user].id, answer["upload_id"].as_str().unwrap_or_default());
        under_way.push_back(Pending { path, token, user });
        while under_way.len() >= UNDER_WAY && !settled(&mut client, &mut under_way, &mut done)? {}
    }
    while !under_way.is_empty() {
        settled(&mut client, &mut under_way, &mut done)?;
        if plan.until.is_some_and(|until| until.elapsed() > LATEST) || plan.until.is_none() && began.elapsed() > LATEST * 24 {
            return Err(Error::new(Kind::Busy, format!("{} uploads are still waiting", under_way.len())));
        }
    }
    Ok(done)
}

/// Asks after the oldest upload; pauses while it is not completed.
fn settled(client: &mut Client, under_way: &mut VecDeque<Pending>, done: &mut Loaded) -> Result<bool> {
    let Some(oldest) = under_way.front() else { return Ok(true) };
    let outcome = client.get(&oldest.path, &oldest.token)?.json(200)?;
    match outcome["status"].as_str() {
        Some("in_progress") => {
            thread::sleep(PAUSE);
            Ok(false)
        }
        Some("success") if outcome["stored"] == RECORDS => {
            done.stored += RECORDS as u64;
            done.bodies[oldest.user] += 1;
            under_way.pop_front();
            Ok(true)
        }
        _ => Err(Error::new(Kind::Busy, format!("an upload was not stored as a whole: {outcome}"))),
    }
}
