/** Output of `boxrun --help`. */
export const USAGE = `Usage: boxrun run [OPTIONS] IMAGE -- COMMAND [ARGUMENT...]
       boxrun serve [OPTIONS]
       boxrun pull IMAGE
       boxrun images [--server SERVER] [--token TOKEN]

  run      run COMMAND in a new box of IMAGE, then remove the box
  serve    serve the BoxRun HTTP API for boxes that are emulated on this machine
  pull     download a whole image, so that boxes on this machine need no network
  images   list the images

Options of run:
  --memory MIB          memory of the box in MiB (default 1024; 256 and 1024 start fastest)
  --disk GIB            size of the disk in GiB (default 8)
  -e, --env NAME=VALUE  set an environment variable; can be repeated
  -w, --workdir DIR     working directory of COMMAND (default /root)
  --timeout MS          end COMMAND after this many milliseconds
  --server SERVER       use this server: http://HOST:PORT, https://HOST or unix:PATH
                        (default: a BoxRun server on this machine; without one, emulate the box)
  --token TOKEN         token of the server; BOXRUN_TOKEN keeps it out of the process list

run connects COMMAND to this terminal's input and outputs, and exits with its exit code. Ctrl-C
cancels COMMAND. Other exit codes: 124 COMMAND timed out, 125 boxrun failed, 126 COMMAND could not be
executed, 127 COMMAND was not found.

Options of serve:
  --host HOST           address to listen on (default $BOXRUN_HOST, else 127.0.0.1)
  --port PORT           port to listen on, 0 for a free one (default $BOXRUN_PORT, else 9090)
  --socket PATH         Unix socket to listen on (default $BOXRUN_SOCKET); its folder is created
  --token TOKEN         token that clients must send (default $BOXRUN_TOKEN)
  --state DIR           directory that keeps the boxes (default $BOXRUN_STATE_DIR/local, else
                        ~/.local/share/boxrun)
  --allow-origin ORIGIN let web pages of ORIGIN (https://example.com) use the server; can be repeated

serve ends on Ctrl-C. It stops the boxes and keeps their disks.

  -h, --help            print this help
  --version             print the version of boxrun
`;
