//! See `peers`.

fn main() {
    peers::run::<peers::cedar::Cedar>();
}
