package main

import (
	"io"
	"net"
)

// One goroutine a connection, and the copy of the net package's own example: on
// Linux that is splice(2), so that bytes stay in the kernel.
func serveEcho(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}
