// The benchmark's servers in Go: `go_server http|hello|echo`.
//
// The standard library alone, as its documentation has it. Pinned to one core,
// the runtime takes that for all there is.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	// net/http has no idle timeout unless it is given one, and none here.
	switch service := os.Args[1]; service {
	case "http":
		log.Fatal(http.Serve(listener, routes()))
	case "hello":
		log.Fatal(http.Serve(listener, hello))
	case "echo":
		log.Fatal(serveEcho(listener))
	default:
		log.Fatalf("Cannot serve %q: there are http, hello and echo", service)
	}
}

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
