//! See `peers`.

fn main() {
    peers::run::<peers::hand::Short>();
}
