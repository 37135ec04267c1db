//! What goes where: each event to the parts that it concerns, and what one part has to say to another.

use super::Filter;
use super::batch::Batch;
use super::event::{CallId, Effect, Event, StreamId};
use super::fetches::discoveries::Ended;
use super::fetches::keys::{Wait, Woken};
use super::fetches::tokens::Ended as TokenEnded;
use super::introspections::renewal::Unasked;
use super::judge::validate::is_good_by_itself;
use super::open_streams::Word;
use super::part::Part;
use super::step::Step;
use super::way::Question;
use crate::http::Reply;
use crate::request::KeptHeaders;
use crate::revocation::revocation_endpoint::Known;
use crate::token::AccessToken;

impl Filter {
    /// Gives an event to the parts that it concerns.
    pub(super) fn route(&mut self, event: Event<'_>, step: &mut Step<'_>) {
        match event {
            Event::RequestHeaders(..) | Event::Start => {}
            Event::StreamGone(stream) => {
                self.signals.gone(stream, step.now);
                self.parts_mut().into_iter().for_each(|part| part.forget(stream));
            }
            Event::Answered(stream, status) => self.answered(stream, status, step),
            Event::Body(stream, body) => self.signals.body(stream, body, &mut self.keys, step),
            // Several may come in one callback, and a turn follows them.
            Event::Told(digest, told) => self.introspections.told(&digest, told, step),
            Event::CallFailed(call) => {
                self.call_ended(call, None, step);
                self.settle(step);
            }
            // Hundreds may come in one callback: who waited is told in turns of the root.
            Event::NotSent(call) => {
                let had_turn = self.is_to_settle();
                self.call_ended(call, None, step);
                if self.is_to_settle() && !had_turn {
                    step.push(Effect::AskForTurn);
                }
            }
            Event::Reply(call, reply) => {
                self.call_ended(call, Some(&reply), step);
                self.settle(step);
            }
            Event::GrpcMessage(call, message) => self.fellows.message(call, message, step),
            Event::GrpcClosed(call, status) => self.fellows.closed(call, status, step),
            Event::End => {
                self.signals.end(step);
                self.fellows.end(step);
            }
            Event::Tick => {
                self.parts_mut().into_iter().for_each(|part| part.tick(step));
                self.recheck(step);
                self.fetch_tokens(step);
                self.settle(step);
                self.ask_for_ticks(self.pace(), step);
            }
            Event::Turn => {
                self.introspections.turn(step);
                self.open_streams.look(step);
                self.recheck(step);
                self.discoveries.fetch(step);
                self.keys.fetch(step);
                self.status_lists.fetch(step);
                self.fellows.put(step);
                self.fetch_tokens(step);
                self.settle(step);
            }
        }
    }

    /// Gives a call's answer, if there is one, to whoever made it.
    fn call_ended(&mut self, call: CallId, reply: Option<&Reply<'_>>, step: &mut Step<'_>) {
        if let Some(reply) = reply.filter(|reply| reply.is_of_another_place()) {
            // A client that makes up tokens must not make us look anew.
            let asked = self.introspections.asked(call).filter(|it| !it.endpoint.says_inactive(reply));
            let asked = asked.map(|introspector| &*introspector.origin.provider);
            let astray = asked.or_else(|| self.keys.fetched(call));
            astray.into_iter().for_each(|provider| self.discoveries.want(provider));
        }
        if let Some((provider, ended)) = self.discoveries.ended(call, reply, step) {
            match ended {
                Ended::GoesOn => {}
                Ended::Found(found, waiting) => {
                    self.keys.found(provider, &found);
                    found.introspector.iter().for_each(|it| self.introspections.moved(it));
                    self.keys.fetch(step);
                    waiting.into_iter().for_each(|stream| self.parking.metadata_came(stream));
                }
                Ended::Nothing(waiting) => {
                    let woken = self.keys.not_found(provider);
                    waiting.into_iter().for_each(|stream| self.parking.metadata_came(stream));
                    self.wake(woken, step);
                }
            }
        } else if let Some(woken) = self.keys.ended(call, reply, step) {
            self.wake(woken, step);
        } else if let Some(waiting) = self.status_lists.ended(call, reply, &mut self.keys, step) {
            waiting.into_iter().for_each(|stream| self.parking.wait_is_over(stream));
        } else if let Some(ended) = self.tokens.ended(call, reply, step) {
            self.token_ended(&ended, step);
        } else if !self.polls.ended(call, reply, &mut self.keys, step)
            && !self.probes.ended(call, reply, &self.keys, step)
        {
            self.introspections.ended(call, reply, &mut self.keys, step);
        }
        self.introspections.send_queued(step);
        self.recheck(step);
        self.fetch_tokens(step);
    }

    /// Sends for the access tokens that are wanted; whoever waits in vain is told.
    fn fetch_tokens(&mut self, step: &mut Step<'_>) {
        for ended in self.tokens.fetch(step) {
            self.token_ended(&ended, step);
        }
    }

    /// Those who waited for an access token go on.
    fn token_ended(&mut self, ended: &TokenEnded, step: &mut Step<'_>) {
        if ended.failure.is_some() {
            self.polls.without_token(&ended.credentials, step);
        } else {
            self.polls.tick(step);
            self.probes.tick(step);
            self.fellows.token_came(step);
        }
        self.introspections.token_ended(&ended.credentials, ended.failure, step);
    }

    /// Those who waited for keys go on.
    fn wake(&mut self, woken: Vec<Woken>, step: &mut Step<'_>) {
        for it in woken {
            match it.wait {
                Wait::Reply(id) => {
                    self.introspections.read_held_reply(id, it.was_served, &mut self.keys, step);
                }
                Wait::Signal(stream) => self.signals.keys_came(stream, it.was_served),
                Wait::Request(stream) => self.parking.keys_came(stream, it.was_served),
            }
        }
    }

    /// The server has answered a request that passed through.
    fn answered(&mut self, stream: StreamId, status: u16, step: &mut Step<'_>) {
        let Self { worker, discoveries, keys, introspections, signals, .. } = self;
        let now = step.now;
        // A JWT may vouch for itself though nobody has sent it yet.
        let known = |provider: &str, token: &AccessToken| {
            let provider = worker.config.providers.iter().find(|it| it.name == provider);
            let Some(provider) = provider else { return Known::No };
            if provider.validator.iter().any(|it| is_good_by_itself(it, token, keys, worker, now)) {
                return Known::Good;
            }
            let digests = keys.digests(provider, discoveries.introspector(provider), token);
            let is_asked = |digest| introspections.ask_about(digest) || worker.knows(digest, now);
            if digests.iter().any(is_asked) { Known::Asked } else { Known::No }
        };
        signals.answered(stream, status, &known, step);
    }

    /// Settles waiting streams, as many as the callback has room for besides those that it has settled already; asks
    /// for another turn if some are left. No callback may do this twice.
    fn settle(&mut self, step: &mut Step<'_>) {
        let mut batch = Batch::after(&step.effects);
        self.introspections.settle(&mut batch, step);
        for (digest, word) in self.introspections.take_words() {
            self.open_streams.heard(digest, word, step.now);
        }
        while !batch.is_full() && (self.take_up_one(step) || self.signals.settle_one(&mut self.keys, step)) {
            batch.taken_up();
        }
        while !batch.is_full() && self.open_streams.end_one(step) {
            batch.settled();
        }
        if batch.is_full() {
            step.push(Effect::AskForTurn);
        }
    }

    /// Whether somebody waits no more and has yet to be told. Whoever leaves it so has asked for a turn.
    fn is_to_settle(&self) -> bool {
        self.introspections.are_to_settle()
            || self.parking.has_ready()
            || self.signals.are_to_settle()
            || self.open_streams.are_to_end()
    }

    /// Asks again about tokens whose streams are still open, as many as there is room for.
    fn recheck(&mut self, step: &mut Step<'_>) {
        for _ in 0..self.open_streams.questions().min(MAX_RECHECKS) {
            let Some(question) = self.open_streams.take_question() else { return };
            let (digest, mut now) = (question.digest, Question::clone(&question));
            self.discoveries.complete(&mut now.way);
            let word = match self.introspections.ask_unwaited(now, KeptHeaders::default(), &self.keys, step) {
                Ok(()) => continue,
                Err(Unasked::NoRoom) => {
                    self.open_streams.put_back(question);
                    continue;
                }
                Err(Unasked::Invalid(reason)) => Word::Refused(reason.into()),
                Err(Unasked::Nobody) => Word::None,
            };
            self.open_streams.heard(digest, word, step.now);
        }
    }
}

/// Tokens that are asked about again in one callback.
const MAX_RECHECKS: usize = 32;
