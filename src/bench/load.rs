//! Closed loops: so many clients, each asking again as soon as it is answered.

use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::dice::Dice;
use super::machine;
use super::server::Server;
use crate::error::{Error, Kind, Result};

/// What some requests came to.
#[derive(Default)]
pub struct Lap {
    pub requests: u64,
    pub bytes: u64,
    /// Sum over the rounds, not over the clients.
    pub wall: Duration,
    pub micros: Vec<u32>,
    /// CPU seconds of the server and of this process, where the machine tells them.
    pub cpu: Option<(f64, f64)>,
}

impl Lap {
    pub fn count(&mut self, took: Duration, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes as u64;
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds the requests of another client; the time they took together is the caller's to set.
    pub fn add(&mut self, other: Lap) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.micros.extend(other.micros);
    }

    /// Adds a whole round.
    pub fn then(&mut self, round: Lap) {
        self.wall += round.wall;
        let before = self.cpu.unwrap_or_default();
        self.cpu = round.cpu.map(|cpu| (before.0 + cpu.0, before.1 + cpu.1));
        self.add(round);
    }

    pub fn per_sec(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    pub fn mean_bytes(&self) -> usize {
        (self.bytes / self.requests.max(1)) as usize
    }

    /// Milliseconds that this share of the requests stayed under.
    pub fn quantile_ms(&mut self, share: f64) -> Option<f64> {
        self.micros.sort_unstable();
        let last = self.micros.len().checked_sub(1)?;
        Some(f64::from(self.micros[(last as f64 * share).round() as usize]) / 1e3)
    }
}

/// What a client asks next.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub token: &'a str,
    pub path: &'a (dyn Fn(&mut Dice) -> String + Sync),
}

/// One round: how many clients, how long, and which picks.
#[derive(Clone, Copy)]
pub struct Round {
    pub clients: usize,
    pub lasting: Duration,
    pub number: u64,
}

/// Drives a server for a round. Every answer must be a 200.
pub fn drive(server: &Server, round: Round, ask: Ask<'_>) -> Result<Lap> {
    let mut connections = (0..round.clients).map(|_| Client::connect(server.address)).collect::<Result<Vec<_>>>()?;
    let cpu = |pid| machine::cpu_secs(pid);
    let before = (cpu(server.pid()), cpu(std::process::id()));
    let began = Instant::now();
    let parts: Vec<Result<Lap>> = thread::scope(|scope| {
        let picks = |n: usize| Dice::of((round.number << 32) | n as u64);
        let clients: Vec<_> = connections
            .iter_mut()
            .enumerate()
            .map(|(n, client)| scope.spawn(move || one_client(client, picks(n), began + round.lasting, ask)))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(Error::bug("a client panicked")))).collect()
    });
    let mut all = Lap { wall: began.elapsed(), ..Lap::default() };
    if let ((Some(s0), Some(c0)), (Some(s1), Some(c1))) = (before, (cpu(server.pid()), cpu(std::process::id()))) {
        all.cpu = Some((s1 - s0, c1 - c0));
    }
    for part in parts {
        all.add(part?);
    }
    Ok(all)
}

fn one_client(client: &mut Client, mut dice: Dice, until: Instant, ask: Ask<'_>) -> Result<Lap> {
    let mut lap = Lap::default();
    while Instant::now() < until {
        let path = (ask.path)(&mut dice);
        let sent = Instant::now();
        let answer = client.get(&path, ask.token)?;
        if answer.status != 200 {
            let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
            return Err(Error::new(Kind::Busy, format!("a request was answered {}: {said}", answer.status)));
        }
        let bytes = answer.body.len();
        lap.count(sent.elapsed(), bytes);
    }
    Ok(lap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_requests() {
        let mut lap = Lap::default();
        assert_eq!(lap.quantile_ms(0.5), None);
        (1..=101).rev().for_each(|n| lap.count(Duration::from_millis(n), 10));
        assert_eq!((lap.quantile_ms(0.5), lap.quantile_ms(0.99)), (Some(51.0), Some(100.0)));
        assert_eq!(lap.mean_bytes(), 10);
    }
}
