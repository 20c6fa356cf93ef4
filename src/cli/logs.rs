//! The log: what afk does, on standard error.

use anstream::{AutoStream, ColorChoice};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::{Common, LogFormat, output};

/// Starts it: warnings, and more with each `-v`. Libraries never get to say more than warnings, since what they log
/// in detail (requests with their headers) may hold secrets.
pub fn start(common: &Common) {
    let level = match common.verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let filter = Targets::new().with_default(Level::WARN).with_target("afk", level);
    let colours = match output::color_choice(common.color) {
        ColorChoice::Auto => AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
        choice => choice != ColorChoice::Never,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(|| output::CommandingNobody(std::io::stderr()));
    let layer = match common.log_format {
        LogFormat::Text => lines.with_ansi(colours).with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(layer).init();
}
