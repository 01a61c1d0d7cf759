package pack

// buffers keeps byte slices that are used again.
type buffers chan []byte

// get returns an empty slice.
func (b buffers) get() []byte {
	select {
	case buf := <-b:
		return buf[:0]
	default:
		return nil
	}
}

// put takes a slice back, unless there are enough.
func (b buffers) put(buf []byte) {
	select {
	case b <- buf:
	default:
	}
}
