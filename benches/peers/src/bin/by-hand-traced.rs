//! See `peers`.

fn main() {
    peers::run::<peers::hand::Traced>();
}
