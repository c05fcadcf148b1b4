package load

import "math"

// Sizes on a 64-bit system, memcached 1.6: struct _stritem and struct
// _strchunk in memcached.h, do_item_alloc in items.c, slabs_init in slabs.c.
const (
	itemHeader  = 48
	casSize     = 8
	chunkHeader = 48
	pageSize    = 1 << 20
	maxClasses  = 63
)

// itemSize is what an item counts against the greatest size of one: header,
// key with its end, value with its line end.
func (s Server) itemSize(keySize, valueSize int) int {
	size := itemHeader + keySize + 1 + valueSize + 2
	if s.CAS {
		size += casSize
	}
	return size
}

// pages is how many the cache has.
func (s Server) pages() int64 { return s.Limit / pageSize }

// classes are the sizes of the chunks into which pages are cut, in bytes. Those
// of -o slab_sizes are not reported by the server.
func (s Server) classes() []int {
	var sizes []int
	if s.GrowthFactor > 1 {
		for size := float64(itemHeader + s.ChunkSize); size < float64(s.ChunkMax)/s.GrowthFactor && len(sizes) < maxClasses-1; {
			aligned := (int(size) + 7) &^ 7
			sizes = append(sizes, aligned)
			size = float64(int(float64(aligned) * s.GrowthFactor))
		}
	}
	return append(sizes, s.ChunkMax)
}

// demand is how much of the cache the keys of a load take.
type demand struct {
	chunks   []float64 // of each class, for a key on the average
	perPage  []float64 // chunks of each class
	sampling float64   // share by which the averages may be off
	varied   bool      // the sizes
	inFlight int64     // sets that take room next to what they replace
}

const samples = 1 << 16 // keys; of fewer the size of each is known

func (s Server) demand(o Options) demand {
	sizes := s.classes()
	d := demand{
		chunks: make([]float64, len(sizes)), perPage: make([]float64, len(sizes)),
		varied: o.Values.kind != "fixed", inFlight: 2 * int64(o.Connections), // what was replaced may be on its way to somebody
	}
	for i, size := range sizes {
		d.perPage[i] = float64(max(pageSize/max(size, 1), 1))
	}
	keys := uint64(samples)
	switch {
	case o.Values.kind == "fixed":
		keys = 1
	case o.Keys > 0 && o.Keys <= samples:
		keys = uint64(o.Keys)
	default:
		d.sampling = 0.01 // four times the deviation of the mean of the sizes of etc
	}
	add := func(size int) {
		i := 0
		for i < len(sizes)-1 && sizes[i] < size {
			i++
		}
		d.chunks[i] += 1 / float64(keys)
	}
	for key := range keys {
		value := o.Values.of(key)
		total := s.itemSize(o.KeySize, value)
		if total <= s.ChunkMax {
			add(total)
			continue
		}
		// The header and the key have a chunk of their own, then follow the
		// largest chunks and one that fits the rest.
		add(total - value - 2 + chunkHeader)
		rest := value + 2
		for ; rest+chunkHeader > s.ChunkMax; rest -= s.ChunkMax - chunkHeader {
			add(s.ChunkMax)
		}
		add(rest + chunkHeader)
	}
	return d
}

// taken is how many pages of a cache belong to classes that d does not use. In
// a memory file each class gets its first page at the start: slabs_prefill_global
// and slabs_preallocate in slabs.c.
func (s Server) taken(d demand) int64 {
	var unused int64
	for _, chunks := range d.chunks {
		if chunks == 0 && s.MemoryFile != "" {
			unused++
		}
	}
	return unused
}

// pages is how many n keys take, with what chance may add to each class: three
// times the deviation of the number of its chunks.
func (d demand) pages(n int64) int64 {
	var pages int64
	for i, perKey := range d.chunks {
		chunks := float64(n+d.inFlight) * perKey
		if d.varied {
			chunks += 3 * math.Sqrt(chunks)
		}
		pages += int64(math.Ceil(chunks / d.perPage[i]))
	}
	return pages
}

// least is a number of pages below which n keys certainly do not fit. A class
// gets its first page even when the limit is reached.
func (d demand) least(n int64) int64 {
	var pages float64
	for i, chunks := range d.chunks {
		if chunks > 0 {
			pages += max(float64(n)*chunks*(1-d.sampling)/d.perPage[i]-1, 0)
		}
	}
	return int64(pages)
}

// most is the number of keys that fit into so many pages.
func (d demand) most(pages int64) int64 {
	low, high := int64(0), int64(math.MaxUint32)
	for low < high {
		middle := high - (high-low)/2
		if d.pages(middle) <= pages {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}
