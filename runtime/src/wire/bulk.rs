//! Vectors of plain structs that are sent as bytes.

use bytemuck::Pod;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    ops::{Deref, DerefMut},
};

/// A vector of plain structs or arrays that is sent to another process as bytes, and not field by
/// field.
///
/// Vectors of numbers need no wrapper: see [`Transfer`](crate::Transfer#speed). This type is for
/// vectors of types that consist of numbers, such as `Vec<[f32; 3]>`, or `Vec<Pixel>` where `Pixel`
/// derives [`bytemuck::Pod`](https://docs.rs/bytemuck/latest/bytemuck/trait.Pod.html). Any bytes
/// are a valid value of such a type, and none of its bytes is padding.
///
/// In other serde formats it is a sequence of integers.
///
/// # Examples
///
/// ```
/// use procession::{Bulk, process};
///
/// #[process]
/// fn highest(points: Bulk<[f32; 3]>) -> f32 {
///     points.iter().map(|[_, _, height]| *height).fold(f32::MIN, f32::max)
/// }
///
/// let points = vec![[0.0, 0.0, 1.5], [1.0, 0.0, 2.5]];
/// assert_eq!(highest::spawn(points.into())?.join()?, 2.5);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bulk<T>(pub Vec<T>);

impl<T> Bulk<T> {
    /// Returns the vector.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T> Default for Bulk<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: fmt::Debug> fmt::Debug for Bulk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> From<Vec<T>> for Bulk<T> {
    fn from(vec: Vec<T>) -> Self {
        Self(vec)
    }
}

impl<T> From<Bulk<T>> for Vec<T> {
    fn from(bulk: Bulk<T>) -> Self {
        bulk.0
    }
}

impl<T> Deref for Bulk<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for Bulk<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

// The elements are sent as numbers of the same alignment, so that the memory that the numbers
// arrive in can become the vector.

impl<T: Pod> Serialize for Bulk<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const { assert!(size_of::<T>() != 0, "what has no bytes has none to move") };
        match align_of::<T>() {
            2 => serializer.collect_seq(bytemuck::cast_slice::<T, u16>(self)),
            4 => serializer.collect_seq(bytemuck::cast_slice::<T, u32>(self)),
            8 => serializer.collect_seq(bytemuck::cast_slice::<T, u64>(self)),
            16 => serializer.collect_seq(bytemuck::cast_slice::<T, u128>(self)),
            _ => serializer.collect_seq(bytemuck::cast_slice::<T, u8>(self)),
        }
    }
}

impl<'de, T: Pod> Deserialize<'de> for Bulk<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let vec = match align_of::<T>() {
            2 => of_numbers::<u16, T>(Vec::deserialize(deserializer)?),
            4 => of_numbers::<u32, T>(Vec::deserialize(deserializer)?),
            8 => of_numbers::<u64, T>(Vec::deserialize(deserializer)?),
            16 => of_numbers::<u128, T>(Vec::deserialize(deserializer)?),
            _ => of_numbers::<u8, T>(Vec::deserialize(deserializer)?),
        };
        vec.map(Self)
            .ok_or_else(|| de::Error::custom("bytes are left over"))
    }
}

/// Returns the same bytes as a vector of `T`, in the same memory if its layout fits.
fn of_numbers<N: Pod, T: Pod>(numbers: Vec<N>) -> Option<Vec<T>> {
    match bytemuck::allocation::try_cast_vec(numbers) {
        Ok(vec) => Some(vec),
        Err((_, numbers)) => {
            let whole = size_of_val(&numbers[..]).is_multiple_of(size_of::<T>());
            whole.then(|| bytemuck::pod_collect_to_vec(&numbers))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bulk, of_numbers};
    use crate::wire::{Incoming, Outgoing};

    #[test]
    fn bulk_goes_in_its_own_memory() {
        let points = Bulk(vec![[1.5_f64, 2.5, 3.5]; 10_000]);
        let mut message = Outgoing::default();
        message.put("points", &points).unwrap();
        assert!(message.bytes.len() < 32);
        let arrived = message.blobs.arrive().unwrap();
        let before = arrived[0].address();
        let mut message = Incoming::new(message.bytes, Vec::new()).with_blobs(arrived);
        let arrived: Bulk<[f64; 3]> = message.take().unwrap();
        assert!(arrived == points);
        assert_eq!(arrived.as_ptr().addr(), before);
    }

    #[test]
    fn bytes_that_are_left_over_are_refused() {
        assert_eq!(of_numbers::<u16, [u16; 2]>(vec![1, 2, 3]), None);
        let mut roomy = Vec::with_capacity(3);
        roomy.extend([1, 2]);
        assert_eq!(of_numbers::<u16, [u16; 2]>(roomy), Some(vec![[1, 2]]));
    }
}
