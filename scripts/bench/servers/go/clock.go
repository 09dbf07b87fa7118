package main

import (
	"sync"
	"time"
)

const (
	eventInterval = 100 * time.Millisecond
	// A client that is so many events behind is let go, rather than miss one.
	eventsBehindMax = 64
)

// ticker counts for all clients of the event stream, while there are any.
type ticker struct {
	mutex   sync.Mutex
	clients map[chan int]struct{}
	count   int
	stop    chan struct{}
}

var clock = ticker{clients: map[chan int]struct{}{}}

func (t *ticker) join() chan int {
	counts := make(chan int, eventsBehindMax)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.clients[counts] = struct{}{}
	if len(t.clients) == 1 {
		t.stop = make(chan struct{})
		go t.run(t.stop)
	}
	return counts
}

func (t *ticker) leave(counts chan int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.remove(counts)
}

// The mutex is held. A client may be removed twice.
func (t *ticker) remove(counts chan int) {
	if _, isThere := t.clients[counts]; !isThere {
		return
	}
	delete(t.clients, counts)
	if len(t.clients) == 0 {
		close(t.stop)
	}
}

func (t *ticker) run(stop chan struct{}) {
	beat := time.NewTicker(eventInterval)
	defer beat.Stop()
	for {
		select {
		case <-stop:
			return
		case <-beat.C:
			t.tellAll()
		}
	}
}

func (t *ticker) tellAll() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for counts := range t.clients {
		select {
		case counts <- t.count:
		default:
			close(counts)
			t.remove(counts)
		}
	}
	t.count++
}
