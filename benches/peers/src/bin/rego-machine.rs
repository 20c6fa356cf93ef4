//! See `peers`.

fn main() {
    peers::run::<peers::rego::Machine>();
}
