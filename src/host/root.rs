//! A worker's root context: start, configuration, and everything that outlives a request.

use std::rc::Rc;

use log::{error, info, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel, MapType};

use super::apply::Worker;
use super::mailbox::{self, Message};
use super::shared_data::SharedData;
use super::signatures::Signatures;
use super::stream::Stream;
use crate::cache::MAX_ENTRY_BYTES;
use crate::config::Config;
use crate::filter::{Event, Filter};
use crate::http::Reply;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root { id, worker: None }) });
}}

/// The root context of one configuration on one worker.
struct Root {
    id: u32,
    /// `None` until the configuration was accepted.
    worker: Option<Rc<Worker>>,
}

impl Root {
    fn configure(&self) -> Result<Worker, String> {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX)
            .map_err(|_| {
                "configuration: expected the plugin's configuration, got a host that keeps it".to_owned()
            })?
            .unwrap_or_default();
        let config =
            Config::parse(&json, &|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
        let signatures = Rc::new(Signatures);
        config.try_out_keys(signatures.as_ref()).map_err(|error| error.to_string())?;
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        let limits = config.cache;
        info!(
            "at most {} MiB of verdicts",
            (u64::from(limits.max_entries) * MAX_ENTRY_BYTES as u64
                + u64::from(limits.max_negative_entries) * 256)
                >> 20
        );
        let mailbox = mailbox::open()?;
        let no_metrics = |_| "expected a host with metrics, got one without".to_owned();
        let shared = Rc::new(SharedData::new().map_err(no_metrics)?);
        let filter = Filter::new(Rc::new(config), shared, signatures, mailbox);
        let worker = Worker::new(self.id, filter, mailbox).map_err(no_metrics)?;
        worker.root_event(Event::Start);
        Ok(worker)
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, num_headers: usize, body_size: usize, _: usize) {
        let Some(worker) = &self.worker else { return };
        let Some(call) = worker.take_call(token) else { return };
        // No headers: the answer broke off. Asking for them would be refused, and the SDK panics on that.
        if num_headers == 0 {
            return worker.root_event(Event::CallFailed(call));
        }
        let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let header =
            |name: &str| headers.iter().find(|header| header.0 == name).map(|header| header.1.as_slice());
        let body = (body_size <= Reply::MAX_BODY_BYTES).then(|| {
            hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size)
                .ok()
                .flatten()
                .unwrap_or_default()
        });
        let reply = Reply {
            status: header(":status")
                .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
                .unwrap_or(0),
            content_type: header("content-type").unwrap_or_default(),
            // Only an answer that came from the upstream has been timed.
            from_envoy: header("x-envoy-upstream-service-time").is_none(),
            body: body.as_deref(),
        };
        worker.root_event(Event::Reply(call, reply));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        // The level is read once: asking at every line would be a host call of its own.
        let level = hostcalls::get_log_level().unwrap_or(LogLevel::Warn);
        proxy_wasm::set_log_level(level);
        match self.configure() {
            Ok(worker) => {
                self.worker = Some(Rc::new(worker));
                true
            }
            Err(reason) => {
                error!("{reason}");
                false
            }
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let Some(worker) = self.worker.as_ref().filter(|worker| worker.mailbox().0 == queue) else { return };
        while let Ok(Some(message)) = hostcalls::dequeue_shared_queue(queue) {
            if let Some(Message::Told(digest, told)) = Message::read(&message) {
                worker.root_event(Event::Told(digest, told));
            }
        }
        worker.root_event(Event::Turn);
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            worker.root_event(Event::Tick);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, self.worker.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
