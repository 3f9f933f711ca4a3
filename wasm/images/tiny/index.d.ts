/** Image `tiny` of BoxRun's local boxes, for `local: { images: [tiny] }`. */
declare const image: {
  /** Name of the image. */
  readonly name: "tiny";
  /** URL of the folder of its files. */
  readonly assets: string;
};
export default image;
