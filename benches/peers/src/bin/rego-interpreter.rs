//! See `peers`.

fn main() {
    peers::run::<peers::rego::Interpreter>();
}
