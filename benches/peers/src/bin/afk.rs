//! See `peers`.

fn main() {
    peers::run::<peers::interpreter::Afk>();
}
